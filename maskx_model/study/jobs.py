"""Heads to train and measure in several processes; each row is written at once, so that a study resumes."""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from functools import partial

from tqdm import tqdm

from data_prep.storage.errors import ConfigError, MaskxError, killed_workers_told
from data_prep.storage.storage import exists, sha256
from maskx_model.model.compute import resolve_device
from maskx_model.study.box_features import BoxKind
from maskx_model.study.cache import digest
from maskx_model.study.frozen_detector import FrozenDetector
from maskx_model.study.heads import head_ap, train_head
from maskx_model.study.rows import Row, read_row, write_row
from maskx_model.study.variants import Variant


@dataclass(frozen=True)
class Job:
    """A variant to train on the masks of `classes`, with that seed, and to measure on others (or the same)."""

    variant: Variant
    classes: tuple[int, ...]
    measured: tuple[int, ...]
    seed: int


def check_runs(seeds: Sequence[int], jobs: int) -> None:
    """Raises ConfigError for no seed, a seed named twice, and fewer than one process."""
    if not seeds or len(set(seeds)) < len(seeds):
        raise ConfigError("seeds: at least one is needed, and none twice")
    if jobs < 1:
        raise ConfigError(f"jobs: at least one process is needed, got {jobs}")


def run_jobs(frozen: FrozenDetector, jobs: Sequence[Job], folder: str, processes: int, title: str) -> list[Row]:
    """The rows of those jobs, in their order, from `processes` processes of one thread each. Rows are written to
    `folder`, under the hash of their inputs; those that are there are read.

    Raises MaskxError for a head that cannot be trained, once all others are written, and where a process is killed.
    """
    files = [f"{folder}/{each.variant.name}-{_digest(frozen, each)}.json" for each in jobs]
    missing = {file: job for file, job in zip(files, jobs, strict=True) if not exists(file)}
    if missing:
        frozen.prepare(dict.fromkeys(job.variant.rois for job in missing.values()))
    failed: list[str] = []
    remedy = "fewer --jobs need less; the same command again trains the heads that are left"
    bar = tqdm(desc=title, total=len(jobs), initial=len(jobs) - len(missing), unit="head")
    with killed_workers_told(remedy), bar as progress:
        for file, result in _results(frozen, missing, processes):
            try:
                row = result()
            except MaskxError as error:
                failed.append(f"variant {missing[file].variant.name}, seed {missing[file].seed}: {error}")
            else:
                write_row(file, row)
            progress.update()
    if failed:
        raise MaskxError(
            f"{len(failed)} of {len(jobs)} heads could not be trained, the others are kept. {failed[0]}, "
            "or leave that variant out"
        )
    return [read_row(file) for file in files]


def default_jobs(cores: int | None = None) -> int:
    """As many processes as `cores`, by default the machine's; one with a GPU, which a head alone keeps busy."""
    return 1 if resolve_device(None) == "cuda" else cores or os.cpu_count() or 1


def _results(frozen: FrozenDetector, jobs: dict[str, Job], processes: int) -> Iterator[tuple[str, Callable[[], Row]]]:
    """The jobs as they end, each with a function that returns its row or raises its error."""
    if processes == 1 or len(jobs) < 2:
        for file, job in jobs.items():
            yield file, partial(measured_row, frozen, job)
        return
    # A copy without what was computed so far: every process maps the cached files into its own memory.
    opened = (replace(frozen),)
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(processes, len(jobs)), context, initializer=_open, initargs=opened)
    try:
        tasks = {pool.submit(_row, job): file for file, job in jobs.items()}
        for task in as_completed(tasks):
            yield tasks[task], task.result
    finally:
        pool.shutdown(cancel_futures=True)


def measured_row(frozen: FrozenDetector, job: Job, quiet: bool = False) -> Row:
    """Train the job's head and measure it."""
    model = train_head(frozen, job.variant, job.classes, job.seed, quiet)
    kinds: tuple[BoxKind, ...] = ("predicted", "ground_truth")
    return Row(*(head_ap(frozen, model, kind, job.measured) for kind in kinds))


_frozen: FrozenDetector
"""Of a worker process; the parent shows its progress."""


def _open(frozen: FrozenDetector) -> None:
    import torch

    global _frozen  # noqa: PLW0603  (set once, when the process starts)
    torch.set_num_threads(1)
    _frozen = frozen


def _row(job: Job) -> Row:
    return measured_row(_frozen, job, quiet=True)


def _digest(frozen: FrozenDetector, job: Job) -> str:
    """Of all that a row depends on."""
    inputs: dict[str, object] = {
        **frozen.made_from,
        "measured_on": (frozen.split, frozen.max_images, job.measured),
        "trained_on": (frozen.masks_of, frozen.rois_at_most, job.variant.rois, job.classes, job.seed),
        "targets": frozen.targets,
        "head": job.variant.mask,
        "schedule": frozen.preset.stage2,
    }
    if job.variant.mask.transfer_input == "embedding" and frozen.embedding is not None:
        inputs["embedding"] = sha256(frozen.embedding)
    return digest(inputs)
