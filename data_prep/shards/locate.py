"""From a byte range of an annotation file to references: each record's image, and its bytes in the file.

Only references travel between workers, some 10 bytes for a record of any size; the worker that writes a shard reads the
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
from data_prep.plan.plan import PlannedFile
from data_prep.plan.tables import EXCLUDED, REJECTED, UNKNOWN, look_up
from data_prep.sources.coco_annotations import annotation_image_id, annotation_image_ids
from data_prep.sources.coercions import shown
from data_prep.sources.counts import Counts, increase
from data_prep.sources.json_files import ByteRange, Items, read_items
from data_prep.sources.lenient_annotations import record_fields
from data_prep.sources.reasons import BrokenError
from data_prep.sources.visual_genome_records import read_head, read_heads
from data_prep.storage.errors import JSON_ERRORS

REFERENCE = np.dtype([("position", "<i4"), ("file", "<i4"), ("offset", "<i8"), ("length", "<i4")])

References = npt.NDArray[np.void]


def pack(references: References) -> bytes:
    """Compress references for the shuffle: first all first bytes, then all second bytes …, which takes a third."""
    columns = references.view(np.uint8).reshape(len(references), REFERENCE.itemsize)
    return zlib.compress(columns.T.tobytes(), 1)


def unpack(packed: Iterable[bytes]) -> References:
    """The references of everything packed, in any order; empty bytes hold none."""
    columns = [np.frombuffer(zlib.decompress(data), np.uint8) for data in packed if data]
    rows = [column.reshape(REFERENCE.itemsize, -1).T.tobytes() for column in columns]
    return np.frombuffer(b"".join(rows), REFERENCE)


@dataclass(frozen=True)
class _Heads:
    """The records of a byte range that can be read, int64[N] each: their positions among its items, their images, their
    numbers of objects."""

    positions: npt.NDArray[np.int64]
    image_ids: npt.NDArray[np.int64]
    objects: npt.NDArray[np.int64]

    @classmethod
    def of(cls, positions: list[int], image_ids: list[int], objects: list[int]) -> "_Heads":
        return cls(*(np.asarray(column, np.int64) for column in (positions, image_ids, objects)))


def locate(
    byte_range: ByteRange, file: PlannedFile, buffer: mmap.mmap, table: npt.NDArray[np.void]
) -> tuple[list[tuple[int, References]], Counts]:
    """The byte range's references by shard number, and what was counted on the way. `table` is the file's table of
    image ids (`plan.tables`)."""
    counts = Counts()
    items = read_items(buffer, byte_range)
    heads = (_visual_genome_heads if file.kind == "vg" else _coco_heads)(file, items, counts)
    rows = look_up(table, heads.image_ids)
    _count_unlocated(file, items, heads, rows["shard"], counts)
    references = np.zeros(len(heads.positions), REFERENCE)
    references["position"] = rows["position"]
    references["file"] = byte_range.file
    references["offset"] = items.offsets[heads.positions]
    references["length"] = items.lengths[heads.positions]
    return list(_by_shard(rows["shard"], references)), counts


def _by_shard(shards: npt.NDArray[np.int32], references: References) -> Iterator[tuple[int, References]]:
    if not len(shards):
        return
    order = np.argsort(shards, kind="stable")
    numbers, starts = np.unique(shards[order], return_index=True)
    for number, group in zip(numbers.tolist(), np.split(references[order], starts[1:]), strict=True):
        if number >= 0:
            yield number, group


def _coco_heads(file: PlannedFile, items: Items, counts: Counts) -> _Heads:
    increase(counts.objects, file.source, len(items.raw))
    try:
        ids, positions = annotation_image_ids(items.data), list(range(len(items.raw)))
    except JSON_ERRORS:
        ids, positions = [], []
        for position, (offset, item) in enumerate(items):
            try:
                ids.append(annotation_image_id(item))
                positions.append(position)
            except BrokenError as error:
                counts.rejects.append(_malformed(file, "object", offset, item, error.seen))
    return _Heads.of(positions, ids, [1] * len(ids))


def _visual_genome_heads(file: PlannedFile, items: Items, counts: Counts) -> _Heads:
    """Counts the synsets as well."""
    try:
        heads, positions = read_heads(items.data, file.synsets), list(range(len(items.raw)))
    except JSON_ERRORS:
        heads, positions = [], []
        for position, (offset, item) in enumerate(items):
            try:
                heads.append(read_head(item, file.synsets))
                positions.append(position)
            except JSON_ERRORS as error:
                counts.rejects.append(_malformed(file, "photograph", offset, item, str(error)))
    counts.synsets = dict(Counter(chain.from_iterable(head.synsets for head in heads)))
    objects = [head.objects for head in heads]
    increase(counts.objects, file.source, sum(objects))
    return _Heads.of(positions, [head.image_id for head in heads], objects)


def _malformed(file: PlannedFile, kind: Kind, offset: int, item: msgspec.Raw, seen: str) -> Reject:
    text = excerpt(f"{seen}: {excerpt(bytes(item))}")
    return Reject(file.source, file.label, kind, -1, offset, "malformed", text)


def _image_shown(item: msgspec.Raw) -> str:
    """The image that a record names, as the file writes it."""
    fields = record_fields(item)
    name = "image_id" if "image_id" in fields else "id"  # Visual Genome's first release
    return shown(name, fields[name])


def _count_unlocated(
    file: PlannedFile, items: Items, heads: _Heads, shards: npt.NDArray[np.int32], counts: Counts
) -> None:
    """Count the objects of records that go to no shard."""
    for status, reason in ((EXCLUDED, "photograph_left_out"), (REJECTED, "photograph_rejected")):
        counts.exclude(file.source, reason, int(heads.objects[shards == status].sum()))
    kind: Kind = "photograph" if file.kind == "vg" else "object"
    for number in np.flatnonzero(shards == UNKNOWN).tolist():
        position = int(heads.positions[number])
        offset, item = int(items.offsets[position]), items.raw[position]
        text = excerpt(f"{_image_shown(item)} is not listed: {excerpt(bytes(item))}")
        identity = -1 if kind == "object" else int(heads.image_ids[number])
        counts.rejects.append(Reject(file.source, file.label, kind, identity, offset, "unknown_image", text))
        if kind == "photograph":
            counts.exclude(file.source, "photograph_rejected", int(heads.objects[number]))
