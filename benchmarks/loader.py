"""Loading images to train on: against torchvision's CocoDetection in a DataLoader, from object storage, and beside a
training step; and the memory of an index of Objects365's size.

    MASKX_REAL_SAMPLE=DIR python -m benchmarks.loader --s3 s3://BUCKET/PREFIX

All ways load the same images (the sample's, several times over) with the same targets: boxes, labels and masks as
compressed run lengths. They take turns, and the ratio of a round counts; on a machine that is
busy with other work, the ratio of CPU times. Object storage is measured where `--s3` names
an empty place in it.
"""

import json
import os
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import torch
import tyro
from torch.utils.data import DataLoader, Subset
from torchvision.datasets import CocoDetection

from benchmarks.index_memory import index_memory
from benchmarks.settings import print_settings
from data_prep.format.reader import Dataset
from data_prep.format.rows import Rows
from data_prep.prepare.options import PrepareOptions
from data_prep.prepare.prepare import prepare
from data_prep.storage.storage import list_files, write
from data_prep.toy_world import write_toy_world
from maskx_model.data.loader import TrainingBatches, load_batches
from maskx_model.data.reader import SampleReader
from maskx_model.data.samples import Sample
from maskx_model.model.detector import build_detector
from maskx_model.presets import get_preset
from maskx_model.training.detector_step import detector_step
from maskx_model.training.distributed import ALONE
from maskx_model.training.step import make_step

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Options:
    """`images` of the sample in batches of `batch`, `workers` for torchvision's way, `rounds` of all ways; `toy_steps`
    of the toy preset; an index of `index_images` images, read by `index_ranks` ranks; `s3`: an empty place in
    object storage, or None."""

    images: int = 1200
    batch: int = 8
    workers: int = 2
    rounds: int = 3
    toy_steps: int = 20
    index_images: int = 1_700_000
    index_ranks: int = 4
    s3: str | None = None


def main(options: Options) -> None:
    """Print every way's images a second, and the ratios as JSON."""
    sample = os.environ.get("MASKX_REAL_SAMPLE")
    if not sample:
        raise SystemExit("this benchmark needs real images: set MASKX_REAL_SAMPLE to a folder with coco/ in it")
    print_settings(**vars(options))
    with TemporaryDirectory() as folder:
        coco = f"{sample}/coco"
        prepare(PrepareOptions(sources=(f"coco=coco:{coco}",), out=f"{folder}/data", max_rejected=0.5))
        data = Dataset.open(f"{folder}/data")
        ways = {"disk": ours(data, options, CPU), "torchvision": torchvisions(Path(coco), data, options)}
        if options.s3:
            ways["s3"] = ours(copied(data, options.s3), options, CPU)
        speeds = measured(ways, options)
        waiting = share_of_waiting(folder, options)
        memory = index_memory(f"{folder}/index.parquet", options.index_images, options.index_ranks)
    print(json.dumps({**ratios(speeds), "waiting": waiting, **memory}))


def ours(data: Dataset, options: Options, device: torch.device) -> Callable[[], Iterator[int]]:
    """This project's loader; it yields how many images a batch has."""
    rows = repeated(data.select("train", "coco"), options.images)
    reader = SampleReader(data, "coco", frozenset(range(len(data.vocabulary))))

    def batches() -> Iterator[int]:
        samples = TrainingBatches(reader, rows, options.batch, seed=0, flip=False)
        yield from map(len, load_batches(samples, range(len(rows) // options.batch), device))

    return batches


def repeated(rows: Rows, count: int) -> Rows:
    """So many rows, each several times."""
    return rows.take(np.arange(count) % len(rows))


def torchvisions(coco: Path, data: Dataset, options: Options) -> Callable[[], Iterator[int]]:
    """CocoDetection in a DataLoader, in random order."""
    images = CocoDetection(coco / "train2017", str(coco / "annotations/instances_train2017.json"))
    images.transforms = Targets(images.coco, {c: n for n, c in enumerate(images.coco.getCatIds(), start=1)})
    places = {image: place for place, image in enumerate(images.ids)}
    rows = repeated(data.select("train", "coco"), options.images)
    same = Subset(images, [places[row.ids["coco"]] for row in rows])

    def batches() -> Iterator[int]:
        loader = DataLoader(
            same, options.batch, shuffle=True, num_workers=options.workers, collate_fn=list, drop_last=True
        )
        yield from map(len, loader)

    return batches


class Targets:
    """CocoDetection's image and annotations as a detector takes them: uint8 [3, H, W], and the target."""

    def __init__(self, coco: Any, labels: dict[int, int]) -> None:
        self.coco, self.labels = coco, labels

    def __call__(self, image: Any, annotations: list[dict[str, Any]]) -> tuple[torch.Tensor, dict[str, Any]]:
        pixels = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)
        boxes = torch.tensor([a["bbox"] for a in annotations], dtype=torch.float32).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        labels = torch.tensor([self.labels[a["category_id"]] for a in annotations], dtype=torch.int64)
        return pixels, {"boxes": boxes, "labels": labels, "masks": [self.coco.annToRLE(a) for a in annotations]}


def copied(data: Dataset, uri: str) -> Dataset:
    """The dataset in object storage."""
    for path in list_files(data.uri):
        write(f"{uri}/{path}", (Path(data.uri) / path).read_bytes())
    return Dataset.open(uri)


class Speed(NamedTuple):
    """Images a second, from the first batch on, and CPU milliseconds of an image, those of its processes included."""

    per_second: float
    cpu_ms: float


def measured(ways: dict[str, Callable[[], Iterator[int]]], options: Options) -> list[dict[str, Speed]]:
    """The speed of each way in each round."""
    rounds = []
    for number in range(options.rounds):
        speeds = {name: speed(batches()) for name, batches in ways.items()}
        rounds.append(speeds)
        told = (f"{name} {each.per_second:.0f} images/s, {each.cpu_ms:.1f} CPU-ms" for name, each in speeds.items())
        print(f"round {number + 1}: {'; '.join(told)}", flush=True)
    return rounds


def speed(batches: Iterator[int]) -> Speed:
    """How fast they come; torchvision's processes have ended when their last batch is through."""
    cpu = _cpu_seconds()
    first = next(batches)
    start = time.perf_counter()
    images = sum(batches)
    per_second = images / (time.perf_counter() - start)
    return Speed(per_second, 1000 * (_cpu_seconds() - cpu) / (first + images))


def _cpu_seconds() -> float:
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def ratios(rounds: list[dict[str, Speed]]) -> dict[str, float | None]:
    """The medians over the rounds; above 1 is better than the other way."""

    def median(way: str, other: str, cpu: bool = False) -> float | None:
        if way not in rounds[0]:
            return None
        of_rounds = (
            each[other].cpu_ms / each[way].cpu_ms if cpu else each[way].per_second / each[other].per_second
            for each in rounds
        )
        return round(statistics.median(of_rounds), 2)

    return {
        "ratio": median("disk", "torchvision"),
        "cpu_ratio": median("disk", "torchvision", cpu=True),
        "s3_of_disk": median("s3", "disk"),
        "s3_of_disk_cpu": median("s3", "disk", cpu=True),
    }


def share_of_waiting(folder: str, options: Options) -> float:
    """The share of the toy preset's first stage that waits for its batches, after a few steps to warm up."""
    write_toy_world(Path(folder) / "toy", images=200, val_images=8)
    prepare(PrepareOptions(sources=(f"coco=coco:{folder}/toy/coco",), out=f"{folder}/toy_data", max_rejected=0.5))
    data, preset = Dataset.open(f"{folder}/toy_data"), get_preset("toy")
    detector = build_detector(preset.detector, len(data.vocabulary)).train()
    detector.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(detector.parameters(), lr=1e-4)
    reader, schedule = SampleReader(data, "coco"), preset.stage1
    samples = TrainingBatches(reader, data.select("train", "coco"), schedule.images_per_batch, 0, schedule.flip)
    batches = iter(load_batches(samples, range(options.toy_steps + 3), CPU))

    def step(batch: list[Sample]) -> None:
        make_step(detector, optimizer, [lambda: detector_step(detector, batch, 1.0).measured], 1e-4, None, ALONE)

    for _ in range(3):
        step(next(batches))
    waited, start = 0.0, time.perf_counter()
    for _ in range(options.toy_steps):
        asked = time.perf_counter()
        batch = next(batches)
        waited += time.perf_counter() - asked
        step(batch)
    share = waited / (time.perf_counter() - start)
    print(f"toy preset, {schedule.images_per_batch} images a step: {share:.2%} of the time is waited for data")
    return round(share, 4)


if __name__ == "__main__":
    main(tyro.cli(Options))
