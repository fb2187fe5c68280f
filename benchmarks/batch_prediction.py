"""Batch prediction against a bare loop: the same images read, decoded and segmented, both with loading the model.

The loop keeps what it finds in memory. The job writes Parquet files and COCO's results, through Beam's RunInference.
`ratio` is in images a second, `cpu_ratio` in images a second of all threads' CPU time, which other processes disturb
less; both are medians of rounds in turns, after a first one, in which libraries are imported.
"""

import json
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
import tyro

from benchmarks.annotate import Speed
from benchmarks.settings import print_settings
from data_prep.format.reader import Dataset
from maskx_model.batch_prediction.options import BatchOptions
from maskx_model.batch_prediction.predict_batch import predict_batch
from maskx_model.inference.segmenter import Segmenter
from maskx_model.results.coco_results import category_ids, to_results


@dataclass(frozen=True)
class Options:
    """A trained model, and a split of a dataset."""

    model: str = "runs/demo/masks-transfer"
    dataset: str = "runs/demo/dataset"
    split: str = "val"
    rounds: int = 3


def in_a_loop(options: Options) -> list[dict[str, object]]:
    """COCO's results of all images, without Beam and without a file."""
    segmenter, data = Segmenter.load(options.model), Dataset.open(options.dataset)
    categories = category_ids(segmenter.vocabulary)
    found = []
    for number, row in enumerate(data.select(options.split), 1):
        found += to_results(number, segmenter.segment(data.pixels(row)), categories)
    return found


def as_a_job(options: Options, out: str) -> None:
    """The command's job."""
    predict_batch(BatchOptions(options.model, out, dataset=options.dataset, split=options.split))


def main(options: Options) -> None:
    """Measure, compare, print."""
    images = len(Dataset.open(options.dataset).select(options.split))
    print_settings(**vars(options), images=images, threads=torch.get_num_threads())
    loop, job = [], []
    with tempfile.TemporaryDirectory() as folder:
        as_a_job(options, f"{folder}/first")
        identical = json.loads(Path(folder, "first/results.json").read_bytes()) == in_a_loop(options)
        for number in range(options.rounds):
            loop.append(Speed.of(images, partial(in_a_loop, options)))
            job.append(Speed.of(images, partial(as_a_job, options, f"{folder}/{number}")))
    speeds = Speed.median(loop), Speed.median(job)
    for name, speed in zip(("loop", "job"), speeds, strict=True):
        print(f"{name:<5} {speed.images_per_second:8.2f} images/s {speed.images_per_cpu_second:8.2f} images/CPU-s")
    ratio, cpu_ratio = (round(jobs / loops, 3) for loops, jobs in zip(*speeds, strict=True))
    print(json.dumps({"ratio": ratio, "cpu_ratio": cpu_ratio, "identical": identical}))


if __name__ == "__main__":
    main(tyro.cli(Options))
