"""What the tests have several ranks train. Run by torchrun: `python -m … HOW OUT STEPS` fits a line."""

import os
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace

import msgspec
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook
from torchvision.models.detection.rpn import RegionProposalNetwork

from data_prep.format.index import IndexRow
from data_prep.format.reader import Dataset
from maskx_model.artifacts.model_folder import load_model
from maskx_model.evaluation.validation_slice import Slice, ValidationSlice
from maskx_model.report.evaluate import evaluate
from maskx_model.schedules import NO_CROPS, Schedule
from maskx_model.training.checkpoints import Checkpoints
from maskx_model.training.distributed import current_world, joined_world, shared
from maskx_model.training.loop import train
from maskx_model.training.metric_sink import Observers
from maskx_model.training.session import Session
from maskx_model.training.stages import train_detector, train_joint, train_masks
from maskx_model.training.stall import EXCHANGING, StallWatch
from maskx_model.training.task import Measured, Task
from tests.maskx_model.tiny_presets import tiny, tiny_cached


def train_stage(stage: str, dataset: str, detector: str, out: str, steps: int) -> None:
    """A stage of the tiny preset, with four images a step in stage 1.

    `detector` and `joint` learn no crops: AdamW's first steps are the gradients' signs, which rounding can turn. In
    `crops` their learning rate is too low for that to matter, and stage 1 averages its weights. The seed is one at
    which rounding turns no choice of proposals either.
    """
    preset = tiny(steps)
    four = replace(preset, stage1=replace(preset.stage1, images_per_batch=4))
    if stage == "detector":
        train_detector(dataset, out, replace(four, crops=NO_CROPS), seed=3)
    elif stage == "crops":
        averaged = replace(four, stage1=replace(four.stage1, average=0.5))
        train_detector(dataset, out, replace(averaged, crops=replace(four.crops, learning_rate=1e-7)), seed=3)
    elif stage == "masks":
        train_masks(dataset, detector, out, preset)
    elif stage == "masks_cached":
        train_masks(dataset, detector, out, tiny_cached(steps))
    else:
        train_joint(dataset, out, replace(preset, crops=NO_CROPS))


def train_with_cache(dataset: str, detector: str, out: str, cache: str, steps: int) -> None:
    """Stage 2 of the tiny preset with its features cached, on one thread."""
    torch.set_num_threads(1)
    train_masks(dataset, detector, out, tiny(steps), cache_features=cache)


def train_with_seed_of_rank(dataset: str, out: str) -> None:
    """Ranks that were started with different seeds."""
    train_detector(dataset, out, tiny(2), seed=int(os.environ["RANK"]))


def fit_line(how: str, out: str, steps: int) -> str:
    """A line fitted to points, four in a batch; `how` says what goes wrong on the last rank. Returns the weights."""
    schedule = Schedule(steps=steps, images_per_batch=4, warmup_steps=0, checkpoint_every=5, log_every=1)
    with joined_world("cpu"):
        world = current_world()
        wrong = world.rank == world.size - 1
        net = nn.Linear(3, 1, bias=False)
        nn.init.ones_(net.weight)

        def batches(start: int) -> Iterator[Tensor]:
            for step in range(start, steps):
                if how == "slow":
                    time.sleep(0.02)
                points = torch.randn(4, 3, generator=torch.Generator().manual_seed(step))[world.part(4, "--points")]
                yield points * torch.nan if how == "not finite" and wrong and step == 3 else points

        def loss(points: Tensor) -> Measured:
            if how == "without a positive" and wrong:
                return Measured({"fit": points.sum() * 0}, {"fit": 0})
            return Measured({"fit": (net(points)[:, 0] - 2 * points.sum(1)).square().mean()}, {"fit": len(points)})

        def keys(_: Tensor) -> list[str]:
            return [f"image-of-rank-{world.rank}"]

        train(
            Task("lines", net, batches, loss, "stage1", keys), schedule, 0.01, 0, Session(Checkpoints(out, {"line": 1}))
        )
        return str(net.weight.tolist())


def evaluate_on_rank(model: str, dataset: str, out: str) -> int:
    """An evaluation of the model on the validation images. Returns on how many of them this rank predicted."""
    proposed = []

    def note(module: nn.Module, *_: object) -> None:
        if isinstance(module, RegionProposalNetwork):
            proposed.append(module)

    with register_module_forward_hook(note):
        evaluate(model, dataset, out)
    return len(proposed)


class _Read(Dataset):
    """A dataset that counts the images read of it."""

    count = 0

    def pixels(self, row: IndexRow) -> npt.NDArray[np.uint8]:
        self.count += 1
        return super().pixels(row)


def look_while_training(model: str, dataset: str, images: int) -> str:
    """The numbers that a training's sink gets of its only look, and how many images this rank has read for it, as
    JSON."""
    with joined_world("cpu"):
        data, seen = _Read.open(dataset), dict[str, float]()
        assert isinstance(data, _Read)

        class Sink:
            def begin(self, part: str) -> None: ...

            def write(self, _: int, values: Mapping[str, float]) -> None:
                seen.update({name: value for name, value in values.items() if name.startswith("val/")})

            def close(self) -> None: ...

        net = load_model(model, "cpu").model
        look = ValidationSlice(Slice(data, "coco", frozenset({0}), images), 1, masks=True)

        def loss(batch: list[int]) -> Measured:
            every = [each.sum() for each in net.parameters() if each.requires_grad]
            return Measured({"nothing": torch.stack(every).sum() * 0}, {"nothing": len(batch)})

        schedule = Schedule(steps=1, images_per_batch=current_world().size, warmup_steps=0)
        still = Task("look", net, lambda _: iter([[0]]), loss, "stage1")
        train(still, schedule, 0.0, 0, Session(observers=Observers(Sink(), look)))
        return msgspec.json.encode({"seen": seen, "read": data.count}).decode()


def stalled() -> str:
    """Who is waited for, when the last rank is at step 3 and waits for data, and the others are at step 4."""
    with joined_world("cpu"):
        world = current_world()
        with StallWatch("test", world, patience=0.01) as watch:
            if world.rank == world.size - 1:
                watch.doing(3, "waiting for data")
            else:
                watch.doing(4, EXCHANGING)
            time.sleep(0.2)
            world.wait_for_all()
            said = watch.report()
            world.wait_for_all()
        return said


def batch_norm_over_ranks(first: int) -> str:
    """Compares a batch norm over two ranks, of which the first has `first` of eight maps, with one over all eight:
    "same", or the greatest difference of outputs, gradients and running statistics."""
    features, gradient = torch.randn(2, 8, 6, 5, 7, generator=torch.Generator().manual_seed(0))
    with joined_world("cpu"):
        own = slice(0, first) if current_world().is_first else slice(first, 8)
        results = []
        for part in (slice(0, 8), own):
            norm = nn.BatchNorm2d(6)
            nn.init.uniform_(norm.weight, generator=torch.Generator().manual_seed(1))
            layer = nn.Sequential(norm)
            over_ranks = shared(layer) if part is own else layer
            given = (3 * features[part] + 2).requires_grad_()
            normalized = over_ranks(given)
            normalized.backward(gradient[part])
            ranks = 2 if part is own else 1  # of which gradients of weights are the mean
            of_weights = [ranks * each.grad for each in norm.parameters() if each.grad is not None]
            results.append([normalized, given.grad, *of_weights, norm.running_mean, norm.running_var])
        whole = [each[own] if each.dim() == 4 else each for each in results[0]]
        pairs = zip(whole, results[1], strict=True)
        if all(torch.allclose(a, b, rtol=1e-5, atol=1e-5) for a, b in pairs):
            return "same"
        return str([(a - b).abs().max().item() for a, b in zip(whole, results[1], strict=True)])


if __name__ == "__main__":
    print(fit_line(sys.argv[1], sys.argv[2], int(sys.argv[3])))
