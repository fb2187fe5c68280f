"""Stage 2 with the frozen features cached on disk, against computing them at every step.

    python -m benchmarks.feature_cache

One epoch on generated images, three times: without a cache, filling one, and from it. Two detectors: the toy preset's,
after a short training, and a ResNet-50-FPN with random weights. The mask branches are the toy preset's and the paper's.
A step of either takes the RoIs that the detector's proposals give; their number decides what is left to train.
"""

import json
import statistics
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
import tyro

from benchmarks.settings import print_settings
from benchmarks.small_world import small_dataset
from data_prep.format.reader import Dataset
from maskx_model.artifacts.model_folder import LoadedModel, save_model
from maskx_model.config import DetectorConfig, MaskConfig, MaskSchedule, ModelConfig
from maskx_model.model.detector import build_detector
from maskx_model.presets import get_preset
from maskx_model.run_config import RunConfig
from maskx_model.training.metric_sink import Observers
from maskx_model.training.stages import train_detector, train_masks


@dataclass(frozen=True)
class Options:
    """What is trained. `slim`: images, images of a step, and steps of stage 1 before. `resnet50`: images, and images of
    a step. `min_size`: pixels of the ResNet's shorter side. `threads`: of torch."""

    detectors: tuple[Literal["slim", "resnet50"], ...] = ("slim", "resnet50")
    slim: tuple[int, int, int] = (64, 8, 60)
    resnet50: tuple[int, int] = (20, 2)
    min_size: int = 512
    threads: int = 1
    seed: int = 0


class Clock:
    """A sink that has each step's loss, and the wall-clock and the CPU time at which it was made."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self._times: list[tuple[float, float]] = []

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


def schedule_of(options: Options, images: int, batch: int) -> MaskSchedule:
    """An epoch of stage 2 on images, a line of metrics each step."""
    return MaskSchedule(
        steps=images // batch,
        images_per_batch=batch,
        learning_rates=(0.01,),
        warmup_steps=2,
        checkpoint_every=10**6,
        log_every=1,
    )


def slim(folder: Path, options: Options) -> tuple[str, str, RunConfig]:
    """Dataset, detector and run of the toy preset, with stage 2 on images."""
    images, batch, steps = options.slim
    dataset = small_dataset(folder / "slim", images)
    toy = get_preset("toy")
    run = replace(toy, stage1=toy.stage1.of_steps(steps), stage2=schedule_of(options, images, batch))
    train_detector(dataset, f"{folder}/slim/detector", run, device="cpu")
    return dataset, f"{folder}/slim/detector", run


def resnet50(folder: Path, options: Options) -> tuple[str, str, RunConfig]:
    """Dataset, detector and run of a ResNet-50 with the paper's mask branch."""
    images, batch = options.resnet50
    dataset = small_dataset(folder / "resnet50", images)
    config = DetectorConfig(weights=None, min_size=options.min_size, max_size=2 * options.min_size)
    run = replace(get_preset("toy"), detector=config, mask=MaskConfig(), stage2=schedule_of(options, images, batch))
    vocabulary = Dataset.open(dataset).vocabulary
    torch.manual_seed(options.seed)
    detector = build_detector(config, len(vocabulary)).eval()
    save_model(f"{folder}/resnet50/detector", LoadedModel(detector, ModelConfig(config), vocabulary, ()), {})
    return dataset, f"{folder}/resnet50/detector", run


WORLDS = {"slim": slim, "resnet50": resnet50}


def measured(name: str, folder: Path, world: tuple[str, str, RunConfig], options: Options) -> dict[str, float]:
    """The three trainings' steps a second, the largest difference of their losses, and what the cache takes."""
    dataset, detector, run = world
    cache = folder / name / "cache"
    clocks: dict[str, Clock] = {}
    for way, features in (("without", None), ("filling", str(cache)), ("cached", str(cache))):
        clocks[way] = clock = Clock()
        out = f"{folder}/{name}/{way}"
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
    plain = clocks["without"]
    apart = max(abs(a - b) for clock in clocks.values() for a, b in zip(plain.losses, clock.losses, strict=True))
    cpu = {way: clock.seconds()[1] for way, clock in clocks.items()}
    return {
        "ratio": round(cpu["without"] / cpu["cached"], 2),
        "filling": round(cpu["without"] / cpu["filling"], 2),
        **{f"{way}_cpu_seconds": round(each, 4) for way, each in cpu.items()},
        **{f"{way}_seconds": round(clock.seconds()[0], 4) for way, clock in clocks.items()},
        "losses_apart": apart,
        "bytes_an_image": round(statistics.mean(files)),
    }


def main(options: Options) -> None:
    """Measure, print."""
    torch.set_num_threads(options.threads)
    print_settings(**vars(options))
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        found = {name: measured(name, folder, WORLDS[name](folder, options), options) for name in options.detectors}
    ratio = min(each["ratio"] for each in found.values())
    identical = all(each["losses_apart"] == 0 for each in found.values())
    print(json.dumps({"ratio": ratio, "identical": identical, **found}))


if __name__ == "__main__":
    main(tyro.cli(Options))
