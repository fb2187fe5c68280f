"""Heads to train and measure: row by row, in several processes, each row kept so that a run goes on where it ended."""

import hashlib
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, fields, replace
from functools import partial, partialmethod

import msgspec
from tqdm import tqdm

from data_prep.storage.errors import DataError, MaskxError
from data_prep.storage.storage import exists, read, sha256, write
from maskx_model.config import MaskConfig, MaskSchedule
from maskx_model.model.compute import resolve_device
from maskx_model.study.frozen import ClassAP, Frozen
from maskx_model.study.variants import Variant


@dataclass(frozen=True)
class Job:
    """A variant to train on the masks of `classes`, with that seed, and to measure on others (or the same)."""

    variant: Variant
    classes: tuple[int, ...]
    measured: tuple[int, ...]
    seed: int


class Row(msgspec.Struct, frozen=True):
    """A job's result: mask AP, 0-100, of each measured class that has an object, on predicted and on given boxes."""

    ap: ClassAP
    ap_gt_boxes: ClassAP


def run_jobs(frozen: Frozen, jobs: Sequence[Job], folder: str, processes: int, title: str) -> list[Row]:
    """The rows of those jobs, in their order, from as many processes of one thread each. Rows are kept in `folder`,
    by what they were made from; those that are there are read.

    Raises MaskxError for a head that cannot be trained, once all others are kept.
    """
    files = [f"{folder}/{each.variant.name}-{_digest(frozen, each)}.json" for each in jobs]
    missing = {file: job for file, job in zip(files, jobs, strict=True) if not exists(file)}
    if missing:
        frozen.prepare(dict.fromkeys(job.variant.rois for job in missing.values()))
    failed: list[str] = []
    with tqdm(desc=title, total=len(jobs), initial=len(jobs) - len(missing), unit="head") as progress:
        for file, result in _results(frozen, missing, processes):
            try:
                row = result()
            except MaskxError as error:
                failed.append(f"variant {missing[file].variant.name}, seed {missing[file].seed}: {error}")
            else:
                write(file, msgspec.json.encode(row))
            progress.update()
    if failed:
        raise MaskxError(
            f"{len(failed)} of {len(jobs)} heads could not be trained, the others are kept. {failed[0]}, "
            "or leave that variant out"
        )
    return [read_row(file) for file in files]


def read_row(file: str) -> Row:
    """A kept row; raises DataError for a file that is none."""
    try:
        return msgspec.json.decode(read(file), type=Row)
    except msgspec.MsgspecError as error:
        raise DataError(f"{file}: not the row of a study ({error}); remove it, and it is measured again") from None


def default_jobs() -> int:
    """As many processes as there are cores; one where there is a GPU, which a head alone keeps busy."""
    return 1 if resolve_device(None) == "cuda" else os.cpu_count() or 1


def _results(frozen: Frozen, jobs: dict[str, Job], processes: int) -> Iterator[tuple[str, Callable[[], Row]]]:
    """The jobs as they end, each with what gives its row or raises why there is none."""
    if processes == 1 or len(jobs) < 2:
        for file, job in jobs.items():
            yield file, partial(measured_row, frozen, job)
        return
    # A copy without what was computed so far: every process maps the kept files into its own memory.
    opened = (replace(frozen),)
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(processes, len(jobs)), context, initializer=_open, initargs=opened)
    try:
        tasks = {pool.submit(_row, job): file for file, job in jobs.items()}
        for task in as_completed(tasks):
            yield tasks[task], task.result
    finally:
        pool.shutdown(cancel_futures=True)


def measured_row(frozen: Frozen, job: Job) -> Row:
    """Train the job's head and measure it."""
    model = frozen.train(job.variant, job.classes, job.seed)
    predicted, given = (frozen.average_precision(model, kind, job.measured) for kind in ("predicted", "given"))
    return Row(predicted, given)


_frozen: Frozen
"""What a worker process works on; its progress is the parent's to show."""


def _open(frozen: Frozen) -> None:
    import torch

    global _frozen  # noqa: PLW0603  (set once, when the process starts)
    torch.set_num_threads(1)
    tqdm.__init__ = partialmethod(tqdm.__init__, disable=True)  # type: ignore[method-assign, assignment]
    _frozen = frozen


def _row(job: Job) -> Row:
    return measured_row(_frozen, job)


def _digest(frozen: Frozen, job: Job) -> str:
    """Of all that a row depends on. A setting that has its default is not named, so that rows outlive new options."""
    told: dict[str, object] = {
        **frozen.made_from,
        "measured_on": (frozen.split, frozen.max_images, job.measured),
        "trained_on": (frozen.masks_of, frozen.rois_at_most, job.variant.rois, job.classes, job.seed),
        "head": _changed(job.variant.mask),
        "schedule": _changed(frozen.preset.stage2),
    }
    if frozen.targets != "masks":
        told["targets"] = frozen.targets
    if job.variant.mask.transfer_input == "embedding" and frozen.embedding is not None:
        told["embedding"] = sha256(frozen.embedding)
    return hashlib.sha256(msgspec.json.encode(told)).hexdigest()[:16]


def _changed(settings: MaskConfig | MaskSchedule) -> dict[str, object]:
    given = ((each.name, getattr(settings, each.name), each.default) for each in fields(settings))
    return {name: value for name, value, default in given if value != default}
