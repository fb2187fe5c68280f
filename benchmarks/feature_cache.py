"""Stage 2 with the frozen features cached on disk, against computing them at every step.

    python -m benchmarks.feature_cache

The same steps on generated images, three times: without a cache, filling one, and from it. Two detectors: the toy
preset's, after a short training, with its mask branch; and a ResNet-50-FPN with random weights and the paper's branch
but for the MLP, which is the light one (the update of the paper's 157 million weights takes as long for one image as
for sixteen). What is left of a step is the training of the branch, so the gain depends on the number of RoIs, which is
told. `ratio` is the ResNet's, in CPU time.
"""

import json
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import tyro
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook

from benchmarks.settings import print_settings
from benchmarks.small_world import small_dataset
from data_prep.format.reader import Dataset
from maskx_model.artifacts.model_folder import LoadedModel, save_model
from maskx_model.config import DetectorConfig, MaskConfig, ModelConfig
from maskx_model.model.detector import build_detector
from maskx_model.model.mask_branch import MaskBranch
from maskx_model.presets import get_preset
from maskx_model.run_config import RunConfig
from maskx_model.schedules import NO_CROPS, MaskSchedule
from maskx_model.training.metric_sink import Observers
from maskx_model.training.stages import train_detector, train_masks


@dataclass(frozen=True)
class Options:
    """What is trained. `slim`: steps, images of a step, and steps of stage 1 before. `resnet50`: steps, and images of a
    step. `images`: in each dataset. `min_size`: pixels of the ResNet's shorter side. `threads`: of torch."""

    slim: tuple[int, int, int] = (8, 8, 60)
    resnet50: tuple[int, int] = (6, 1)
    images: int = 64
    min_size: int = 512
    threads: int = 1
    seed: int = 0


class Clock:
    """A sink that has each step's loss, and the wall-clock and the CPU time at which it was made."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self._times: list[tuple[float, float]] = []

    def begin(self, part: str) -> None:
        """There is one learning rate."""

    def write(self, step: int, values: Mapping[str, float]) -> None:  # noqa: ARG002  a sink's
        """Takes the time."""
        self._times.append((time.perf_counter(), time.process_time()))
        self.losses.append(values["loss"])

    def close(self) -> None:
        """Holds nothing open."""

    def seconds(self) -> tuple[float, float]:
        """Of the median step: by the clock, and of the CPU."""
        pairs = zip(self._times, self._times[1:], strict=False)
        clock, cpu = zip(*((b[0] - a[0], b[1] - a[1]) for a, b in pairs), strict=True)
        return statistics.median(clock), statistics.median(cpu)


def schedule_of(steps: int, images: int) -> MaskSchedule:
    """Stage 2 on images, a line of metrics each step."""
    return MaskSchedule(
        steps=steps,
        images_per_batch=images,
        learning_rates=(1e-4,),
        warmup_steps=2,
        checkpoint_every=10**6,
        log_every=1,
    )


def slim(dataset: str, detector: str, options: Options) -> RunConfig:
    """The toy preset, with stage 2 on images; trains its detector."""
    steps, images, before = options.slim
    toy = get_preset("toy")
    run = replace(toy, crops=NO_CROPS, stage1=toy.stage1.of_steps(before), stage2=schedule_of(steps, images))
    train_detector(dataset, detector, run, device="cpu")
    return run


def resnet50(dataset: str, detector: str, options: Options) -> RunConfig:
    """A ResNet-50 with the paper's mask branch, its MLP the light one; writes its detector."""
    config = DetectorConfig(weights=None, min_size=options.min_size, max_size=2 * options.min_size)
    vocabulary = Dataset.open(dataset).vocabulary
    torch.manual_seed(options.seed)
    model = build_detector(config, len(vocabulary)).eval()
    save_model(detector, LoadedModel(model, ModelConfig(config), vocabulary, ()), {})
    mask = MaskConfig(mlp="light")
    return replace(get_preset("toy"), detector=config, mask=mask, stage2=schedule_of(*options.resnet50))


WORLDS = {"slim": slim, "resnet50": resnet50}


@contextmanager
def counted_rois() -> Iterator[list[int]]:
    """The number of RoIs that each call of a mask branch gets."""
    counts: list[int] = []

    def count(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        if isinstance(module, MaskBranch):
            counts.append(len(inputs[0]))

    handle = register_module_forward_pre_hook(count)
    try:
        yield counts
    finally:
        handle.remove()


def measured(name: str, dataset: str, folder: Path, options: Options) -> dict[str, float]:
    """What a step of the three trainings takes, the largest difference of their losses, and what the cache takes."""
    detector, cache = f"{folder}/detector", folder / "cache"
    run = WORLDS[name](dataset, detector, options)
    clocks: dict[str, Clock] = {}
    for way, features in (("without", None), ("filling", str(cache)), ("cached", str(cache))):
        clocks[way] = clock = Clock()
        out = f"{folder}/{way}"
        with counted_rois() as rois:
            train_masks(
                dataset,
                detector,
                out,
                run,
                seed=options.seed,
                device="cpu",
                observers=Observers(clock),
                cache_features=features,
            )
        seconds, cpu = clock.seconds()
        print(f"{name}, {way}: {seconds:.3f} s a step, {cpu:.3f} s of CPU", flush=True)
    files = [path.stat().st_size for path in cache.rglob("*.safetensors")]
    plain = clocks["without"].losses
    apart = max(abs(a - b) for clock in clocks.values() for a, b in zip(plain, clock.losses, strict=True))
    cpu_seconds = {way: clock.seconds()[1] for way, clock in clocks.items()}
    return {
        "ratio": round(cpu_seconds["without"] / cpu_seconds["cached"], 2),
        "filling": round(cpu_seconds["without"] / cpu_seconds["filling"], 2),
        **{f"{way}_cpu_seconds": round(each, 4) for way, each in cpu_seconds.items()},
        **{f"{way}_seconds": round(clock.seconds()[0], 4) for way, clock in clocks.items()},
        "rois_of_a_step": round(statistics.mean(rois), 1),
        "losses_apart": apart,
        "bytes_an_image": round(statistics.mean(files)),
    }


def main(options: Options) -> None:
    """Measure, print."""
    torch.set_num_threads(options.threads)
    print_settings(**vars(options))
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        dataset = small_dataset(folder, options.images)
        found = {name: measured(name, dataset, folder / name, options) for name in WORLDS}
    identical = all(each["losses_apart"] == 0 for each in found.values())
    print(json.dumps({"ratio": found["resnet50"]["ratio"], "identical": identical, **found}))


if __name__ == "__main__":
    main(tyro.cli(Options))
