"""How a shard is written from references, images copied verbatim."""

import hashlib
import tarfile
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from mmap import mmap
from typing import BinaryIO

import msgspec

from data_prep.content.held_out import Pictures, describe
from data_prep.format.index import IndexRow
from data_prep.format.manifest import HeldOut, Shard, ToldBy
from data_prep.format.records import Record, encode_record
from data_prep.plan.merge import TRAIN, Photograph
from data_prep.plan.plan import Plan, PlannedPhotograph, PlannedShard, read_photographs, work_folder
from data_prep.shards.build_record import ShardCounts, compose
from data_prep.shards.held_out import Galleries, copy_of, disagreeing, own_files, pictures_path, write_pictures
from data_prep.shards.image_file import PhotographFile, read_photograph
from data_prep.shards.read_annotations import Annotated, annotated_photographs
from data_prep.sources.counts import Tally
from data_prep.sources.images import SourceImage
from data_prep.sources.reasons import BrokenError
from data_prep.storage.read_ahead import Read, read_ahead
from data_prep.storage.storage import create, exists, read, sha256, write

_BLOCK = 512


class ShardSummary(msgspec.Struct, frozen=True):
    """What came of a shard, kept beside it until the dataset is finished.

    `held_out`: the images found out by what they show. `pictures`: of a shard held out of training, the SHA-256 of
    what it leaves for others to compare with.
    """

    fingerprint: str
    shard: Shard
    counts: ShardCounts
    tally: Tally
    held_out: list[HeldOut]
    pictures: str | None


class ShardResult(ShardSummary, frozen=True):
    """With a row of the index for each image."""

    rows: list[IndexRow]


def result_path(plan: Plan, number: int) -> str:
    """Where the shard's result is kept."""
    return f"{work_folder(plan.out)}/shards/{plan.shards[number].path}.json"


def read_summary(plan: Plan, number: int) -> ShardSummary:
    """What came of a finished shard."""
    return msgspec.json.decode(read(result_path(plan, number)), type=ShardSummary)


def read_rows(plan: Plan, number: int) -> list[IndexRow]:
    """A finished shard's rows of the index."""
    return msgspec.json.decode(read(result_path(plan, number)), type=ShardResult).rows


def is_finished(plan: Plan, number: int) -> bool:
    """Whether an earlier run wrote this very shard, and its bytes are still the same."""
    tar = f"{plan.out}/{plan.shards[number].path}"
    if not (exists(tar) and exists(result_path(plan, number))):
        return False
    result, pictures = read_summary(plan, number), pictures_path(plan, number)
    if result.fingerprint != plan.shards[number].fingerprint or result.shard.sha256 != sha256(tar):
        return False
    return result.pictures is None or (exists(pictures) and result.pictures == sha256(pictures))


def write_shard(
    plan: Plan, number: int, packed: Iterable[bytes], buffers: Mapping[int, mmap], galleries: Galleries
) -> None:
    """Write a shard and then its result; `packed` are its references (`references.pack`), in any order.

    `buffers` are the mapped annotation files by number. A training shard needs all held-out shards to be finished.
    Every file appears under its name only when whole, so that a worker may fail or be repeated at any point.
    """
    planned = plan.shards[number]
    photographs = annotated_photographs(plan, number, packed, buffers)
    files = read_ahead(_files(photograph) for photograph in read_photographs(plan.out, number))
    with create(f"{plan.out}/{planned.path}") as file, closing(files):
        shard = _OpenShard(_TarWriter(file, planned), galleries)
        for position, ((photograph, annotated), read_file) in enumerate(zip(photographs, files, strict=True)):
            shard.add(position, photograph, annotated, read_file)
        finished = shard.tar.finish()
    pictures = write_pictures(plan, number, shard.pictures) if planned.split != TRAIN else None
    result = ShardResult(
        planned.fingerprint, finished, shard.counts, shard.tally, shard.held_out, pictures, shard.tar.rows
    )
    write(result_path(plan, number), msgspec.json.encode(result))


def _files(planned: PlannedPhotograph) -> list[str]:
    return [planned.photograph.images[0].path, *(copy.path for copy in own_files(planned))]


@dataclass
class _OpenShard:
    """A shard that is being written, with what is counted and found on the way."""

    tar: "_TarWriter"
    galleries: Galleries
    tally: Tally = field(default_factory=Tally)
    counts: ShardCounts = field(default_factory=ShardCounts)
    held_out: list[HeldOut] = field(default_factory=list)
    pictures: list[Pictures] = field(default_factory=list)

    def add(self, position: int, planned: PlannedPhotograph, annotated: list[Annotated], read_file: Read) -> None:
        """Add an image with what annotates it, or count why it or one of its images is not there."""
        photograph = planned.photograph
        try:
            file = read_photograph(photograph.images[0], read_file)
        except BrokenError as error:
            self._reject(photograph, annotated, error)
            return
        if key := copy_of(photograph, file.grey, self.galleries):
            self._leave_out(photograph.images, annotated, "copy_of_val", "content", key)
            return
        if wrong := disagreeing(planned, file.grey, read_file):
            own = [found for found in annotated if found.file.source in {image.source for image in wrong}]
            self._leave_out(wrong, own, "id_content_disagree", "id_content_disagree", photograph.key)
            right = tuple(image for image in photograph.images if image not in wrong)
            photograph = msgspec.structs.replace(photograph, images=right)
            annotated = [found for found in annotated if found not in own]
        if photograph.split != TRAIN:
            self.pictures.append(describe(position, file.grey))
        self.tar.add(photograph, file, compose(photograph, annotated, self.tally, self.counts))

    def _reject(self, photograph: Photograph, annotated: list[Annotated], error: BrokenError) -> None:
        standing, *copies = photograph.images
        self.tally.reject_photograph(standing, error)
        for image in copies:
            self.tally.leave_out(image.source, "copy_rejected")
        for found in annotated:
            self.tally.leave_out(found.file.source, "photograph_rejected", found.objects.count)

    def _leave_out(
        self, images: Iterable[SourceImage], annotated: list[Annotated], reason: str, by: ToldBy, key: str
    ) -> None:
        for image in images:
            self.tally.leave_out(image.source, reason)
            self.held_out.append(HeldOut(image.source, image.id, by, key))
        for found in annotated:
            self.tally.leave_out(found.file.source, "photograph_left_out", found.objects.count)


class _TarWriter:
    """A tar with nothing in it that differs between runs, and the index rows of what it holds."""

    def __init__(self, file: BinaryIO, planned: PlannedShard) -> None:
        self.rows: list[IndexRow] = []
        self._file = file
        self._planned = planned
        self._hash = hashlib.sha256()
        self._position = 0

    def add(self, photograph: Photograph, file: PhotographFile, record: Record) -> None:
        """Append an image and its record."""
        encoded = encode_record(record)
        image_offset = self._member(f"{photograph.key}.{file.extension}", file.data)
        record_offset = self._member(f"{photograph.key}.json", encoded)
        standing = photograph.images[0]
        self.rows.append(
            IndexRow(
                key=photograph.key,
                split=self._planned.split,
                part=self._planned.part,
                shard=self._planned.path,
                image_offset=image_offset,
                image_length=len(file.data),
                record_offset=record_offset,
                record_length=len(encoded),
                width=record.width,
                height=record.height,
                ids=record.ids,
                flickr_id=next((i.flickr_id for i in photograph.images if i.flickr_id is not None), None),
                license=standing.license,
                classes={source: sorted({a.category for a in found}) for source, found in record.objects.items()},
            )
        )

    def finish(self) -> Shard:
        """End the tar and say what it is."""
        self._write(bytes(2 * _BLOCK))
        planned = self._planned
        digest = self._hash.hexdigest()
        return Shard(planned.path, planned.split, planned.part, len(self.rows), self._position, digest)

    def _member(self, name: str, data: bytes) -> int:
        header = tarfile.TarInfo(name)
        header.size = len(data)
        self._write(header.tobuf(tarfile.USTAR_FORMAT))
        offset = self._position
        self._write(data)
        self._write(bytes(-len(data) % _BLOCK))
        return offset

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._hash.update(data)
        self._position += len(data)
