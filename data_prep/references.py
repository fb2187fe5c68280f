"""From a span of an annotation file to references: which photograph each record belongs to, and where it stands.

Only references travel between workers, 20 bytes for a record of any size; whoever writes a shard reads the
records back from the files.
"""

import mmap
from collections.abc import Iterator

import msgspec
import numpy as np
import numpy.typing as npt

from data_prep.format.errors import JSON_ERRORS
from data_prep.format.rejects import Kind, Reject, excerpt
from data_prep.plan import LEFT_OUT, REJECTED, UNKNOWN, PlannedFile, find
from data_prep.sources import coco, visual_genome_objects
from data_prep.sources.json_files import Span, read_span
from data_prep.tally import Tally, increase

REFERENCE = np.dtype([("photograph", "<i4"), ("file", "<i4"), ("offset", "<i8"), ("length", "<i4")])

References = npt.NDArray[np.void]
_Items = list[tuple[int, msgspec.Raw]]


def locate(
    span: Span, file: PlannedFile, buffer: mmap.mmap, table: npt.NDArray[np.void]
) -> tuple[list[tuple[int, References]], Tally]:
    """The span's references by shard number, and what was counted on the way. `table` is the file's (`plan.py`)."""
    tally = Tally()
    data, items = read_span(buffer, span)
    read_heads = _coco_heads if file.kind == "coco" else _visual_genome_heads
    items, image_ids, objects = read_heads(file, data, items, tally)
    found = find(table, np.asarray(image_ids, np.int64))
    _count_unplaced(file, items, image_ids, objects, found["shard"], tally)
    references = np.zeros(len(items), REFERENCE)
    references["photograph"] = found["photograph"]
    references["file"] = span.file
    references["offset"] = [offset for offset, _ in items]
    references["length"] = [memoryview(item).nbytes for _, item in items]
    return list(_by_shard(found["shard"], references)), tally


def _by_shard(shards: npt.NDArray[np.int32], references: References) -> Iterator[tuple[int, References]]:
    if not len(shards):
        return
    order = np.argsort(shards, kind="stable")
    numbers, starts = np.unique(shards[order], return_index=True)
    for number, group in zip(numbers.tolist(), np.split(references[order], starts[1:]), strict=True):
        if number >= 0:
            yield number, group


def _coco_heads(file: PlannedFile, data: bytes, items: _Items, tally: Tally) -> tuple[_Items, list[int], list[int]]:
    """The items that name their image, its id, and how many objects each holds: one."""
    increase(tally.objects, file.source, len(items))
    try:
        return items, coco.annotation_image_ids(data), [1] * len(items)
    except JSON_ERRORS:
        pass
    good, ids = [], []
    for offset, item in items:
        try:
            ids.append(coco.annotation_image_id(item))
            good.append((offset, item))
        except JSON_ERRORS as error:
            tally.rejects.append(_malformed(file, "object", offset, item, error))
    return good, ids, [1] * len(ids)


def _visual_genome_heads(
    file: PlannedFile, data: bytes, items: _Items, tally: Tally
) -> tuple[_Items, list[int], list[int]]:
    """The records that can be read, their image ids and numbers of objects; counts the synsets."""
    try:
        heads = visual_genome_objects.image_heads(data, file.synsets)
    except JSON_ERRORS:
        items, heads = _lenient_heads(file, items, tally)
    for head in heads:
        for synset in head.synsets:
            increase(tally.synsets, synset)
    objects = [head.objects for head in heads]
    increase(tally.objects, file.source, sum(objects))
    return items, [head.image_id for head in heads], objects


def _lenient_heads(
    file: PlannedFile, items: _Items, tally: Tally
) -> tuple[_Items, list[visual_genome_objects.ImageHead]]:
    good, heads = [], []
    for offset, item in items:
        try:
            heads.append(visual_genome_objects.head_of(item, file.synsets))
            good.append((offset, item))
        except JSON_ERRORS as error:
            tally.rejects.append(_malformed(file, "photograph", offset, item, error))
    return good, heads


def _malformed(file: PlannedFile, kind: Kind, offset: int, item: msgspec.Raw, error: Exception) -> Reject:
    seen = excerpt(f"{error}: {excerpt(bytes(item))}")
    return Reject(file.source, file.label, kind, -1, offset, "malformed", seen)


def _count_unplaced(
    file: PlannedFile,
    items: _Items,
    image_ids: list[int],
    objects: list[int],
    shards: npt.NDArray[np.int32],
    tally: Tally,
) -> None:
    """Account for the objects of records that lead to no shard."""
    weights = np.asarray(objects, np.int64)
    tally.leave_out(file.source, "photograph_left_out", int(weights[shards == LEFT_OUT].sum()))
    tally.leave_out(file.source, "photograph_rejected", int(weights[shards == REJECTED].sum()))
    kind: Kind = "object" if file.kind == "coco" else "photograph"
    for position in np.flatnonzero(shards == UNKNOWN).tolist():
        offset, item = items[position]
        seen = excerpt(bytes(item))
        identity = -1 if kind == "object" else image_ids[position]
        tally.rejects.append(Reject(file.source, file.label, kind, identity, offset, "unknown_image", seen))
        if kind == "photograph":
            tally.leave_out(file.source, "photograph_rejected", objects[position])
