"""From a span of an annotation file to references: which image each record belongs to, and where it stands.

Only references travel between workers, some 10 bytes for a record of any size; whoever writes a shard reads the
records back from the files.
"""

import mmap
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

import msgspec
import numpy as np
import numpy.typing as npt

from data_prep.format.rejects import Kind, Reject, excerpt
from data_prep.plan.plan import LEFT_OUT, REJECTED, UNKNOWN, PlannedFile, find
from data_prep.sources import coco, visual_genome_objects
from data_prep.sources.counts import Tally, increase
from data_prep.sources.json_files import Items, Span, read_span
from data_prep.storage.errors import JSON_ERRORS

REFERENCE = np.dtype([("photograph", "<i4"), ("file", "<i4"), ("offset", "<i8"), ("length", "<i4")])

References = npt.NDArray[np.void]


def pack(references: References) -> bytes:
    """References as they travel: a column of all first bytes, one of all second bytes …, which compress to a third."""
    columns = references.view(np.uint8).reshape(len(references), REFERENCE.itemsize)
    return zlib.compress(columns.T.tobytes(), 1)


def unpack(packed: Iterable[bytes]) -> References:
    """All that was packed, in any order; empty bytes hold none."""
    columns = [np.frombuffer(zlib.decompress(data), np.uint8) for data in packed if data]
    rows = [column.reshape(REFERENCE.itemsize, -1).T.tobytes() for column in columns]
    return np.frombuffer(b"".join(rows), REFERENCE)


@dataclass(frozen=True)
class _Heads:
    """The records of a span that can be read, int64[N] each: positions among its items, images, numbers of objects."""

    kept: npt.NDArray[np.int64]
    image_ids: npt.NDArray[np.int64]
    objects: npt.NDArray[np.int64]

    @classmethod
    def of(cls, kept: list[int], image_ids: list[int], objects: list[int]) -> "_Heads":
        return cls(*(np.asarray(column, np.int64) for column in (kept, image_ids, objects)))


_Items = list[tuple[int, msgspec.Raw]]


def locate(
    span: Span, file: PlannedFile, buffer: mmap.mmap, table: npt.NDArray[np.void]
) -> tuple[list[tuple[int, References]], Tally]:
    """The span's references by shard number, and what was counted on the way. `table` is the file's (`plan.py`)."""
    tally = Tally()
    items = read_span(buffer, span)
    heads = (_visual_genome_heads if file.kind == "vg" else _coco_heads)(file, items, tally)
    found = find(table, heads.image_ids)
    _count_unplaced(file, items, heads, found["shard"], tally)
    references = np.zeros(len(heads.kept), REFERENCE)
    references["photograph"] = found["photograph"]
    references["file"] = span.file
    references["offset"] = items.offsets[heads.kept]
    references["length"] = items.lengths[heads.kept]
    return list(_by_shard(found["shard"], references)), tally


def _by_shard(shards: npt.NDArray[np.int32], references: References) -> Iterator[tuple[int, References]]:
    if not len(shards):
        return
    order = np.argsort(shards, kind="stable")
    numbers, starts = np.unique(shards[order], return_index=True)
    for number, group in zip(numbers.tolist(), np.split(references[order], starts[1:]), strict=True):
        if number >= 0:
            yield number, group


def _coco_heads(file: PlannedFile, items: Items, tally: Tally) -> _Heads:
    increase(tally.objects, file.source, len(items.raw))
    try:
        ids, kept = coco.annotation_image_ids(items.data), list(range(len(items.raw)))
    except JSON_ERRORS:
        ids, kept = [], []
        for position, (offset, item) in enumerate(items):
            try:
                ids.append(coco.annotation_image_id(item))
                kept.append(position)
            except JSON_ERRORS as error:
                tally.rejects.append(_malformed(file, "object", offset, item, error))
    return _Heads.of(kept, ids, [1] * len(ids))


def _visual_genome_heads(file: PlannedFile, items: Items, tally: Tally) -> _Heads:
    """Counts the synsets as well."""
    try:
        heads, kept = visual_genome_objects.image_heads(items.data, file.synsets), list(range(len(items.raw)))
    except JSON_ERRORS:
        heads, kept = [], []
        for position, (offset, item) in enumerate(items):
            try:
                heads.append(visual_genome_objects.head_of(item, file.synsets))
                kept.append(position)
            except JSON_ERRORS as error:
                tally.rejects.append(_malformed(file, "photograph", offset, item, error))
    tally.synsets = dict(Counter(chain.from_iterable(head.synsets for head in heads)))
    objects = [head.objects for head in heads]
    increase(tally.objects, file.source, sum(objects))
    return _Heads.of(kept, [head.image_id for head in heads], objects)


def _malformed(file: PlannedFile, kind: Kind, offset: int, item: msgspec.Raw, error: Exception) -> Reject:
    seen = excerpt(f"{error}: {excerpt(bytes(item))}")
    return Reject(file.source, file.label, kind, -1, offset, "malformed", seen)


def _count_unplaced(
    file: PlannedFile, items: Items, heads: _Heads, shards: npt.NDArray[np.int32], tally: Tally
) -> None:
    """Account for the objects of records that lead to no shard."""
    for status, reason in ((LEFT_OUT, "photograph_left_out"), (REJECTED, "photograph_rejected")):
        tally.leave_out(file.source, reason, int(heads.objects[shards == status].sum()))
    kind: Kind = "photograph" if file.kind == "vg" else "object"
    for number in np.flatnonzero(shards == UNKNOWN).tolist():
        position = int(heads.kept[number])
        offset, seen = int(items.offsets[position]), excerpt(bytes(items.raw[position]))
        identity = -1 if kind == "object" else int(heads.image_ids[number])
        tally.rejects.append(Reject(file.source, file.label, kind, identity, offset, "unknown_image", seen))
        if kind == "photograph":
            tally.leave_out(file.source, "photograph_rejected", int(heads.objects[number]))
