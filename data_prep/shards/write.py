"""Write a shard from its references: images are copied verbatim, and each one excluded or rejected is counted."""

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field
from mmap import mmap
from pathlib import Path
from typing import BinaryIO

import msgspec

from data_prep.content.search import Pictures
from data_prep.format.exif_rule import ExifRule
from data_prep.format.manifest import HeldOut, ToldBy
from data_prep.plan.held_out_rule import TRAIN
from data_prep.plan.merge import MergedImage, has_size
from data_prep.plan.plan import Plan, PlannedImage, PlannedShard, read_planned_images, require_own
from data_prep.shards.build_record import ShardContent, build_record
from data_prep.shards.held_out_copies import (
    HeldOutGalleries,
    copy_of,
    describe_file,
    disagreeing,
    own_files,
    write_pictures,
)
from data_prep.shards.image_file import ImageFile, read_image_file
from data_prep.shards.listed_size import (
    boxes_finding,
    mismatch,
    of_other_pixels,
    size_finding,
    turned_as,
    with_size_of_file,
)
from data_prep.shards.locate import References, unpack
from data_prep.shards.read_annotations import FileAnnotations, ObjectReader, by_image
from data_prep.shards.results import ShardResult, write_result
from data_prep.shards.tar_writer import TarWriter
from data_prep.sources.counts import Counts, Example
from data_prep.sources.images import SourceImage
from data_prep.sources.reasons import REPAIRED, BrokenError
from data_prep.storage.read_ahead import Read, read_ahead
from data_prep.storage.storage import create


def write_shard(
    plan: Plan, number: int, packed: Iterable[bytes], buffers: Mapping[int, mmap], galleries: HeldOutGalleries
) -> None:
    """Write a shard and then its result; `packed` are its references (`locate.pack`), in any order.

    `buffers` are the mapped annotation files by number. A training shard needs all held-out shards to be finished.
    Every file appears under its name only when whole, so that a worker may fail or be repeated at any point. Raises
    DataError if another run's plan has replaced this one's.
    """
    planned = plan.shards[number]
    images = read_planned_images(plan.out, number)
    references = by_image(unpack(packed), len(images))
    files = read_ahead(_files(image) if _is_read(plan, image) else [] for image in images)
    with _target(plan, planned) as file, closing(files):
        shard = _OpenShard(TarWriter(file, planned), galleries, ObjectReader(plan, buffers), plan.exif)
        for position, (image, own, read_file) in enumerate(zip(images, references, files, strict=True)):
            is_read = _is_read(plan, image)
            if planned.written and is_read:
                shard.add(position, image, own, read_file)
            elif planned.written:
                shard.add_unread(image, own)
            elif is_read:
                shard.add_unwritten(position, image, read_file)
        finished = shard.tar.finish()
        require_own(plan)
    pictures = write_pictures(plan, number, shard.pictures) if planned.split != TRAIN else None
    result = ShardResult(
        planned.fingerprint,
        finished,
        shard.content,
        shard.counts,
        shard.held_out,
        pictures,
        shard.tar.rows,
        shard.tar.digests,
    )
    write_result(plan, number, result)


def _target(plan: Plan, planned: PlannedShard) -> AbstractContextManager[BinaryIO]:
    """The shard's file; nowhere, if the images are only looked at."""
    return create(f"{plan.out}/{planned.path}") if plan.images == "write" else Path(os.devnull).open("wb")


def _is_read(plan: Plan, planned: PlannedImage) -> bool:
    """Whether the image's file is read: nothing else tells the size of one of which none is listed."""
    return plan.images != "skip" or not has_size(planned.merged.canonical)


def _files(planned: PlannedImage) -> list[str]:
    return [planned.merged.canonical.path, *(copy.path for copy in own_files(planned))]


@dataclass
class _OpenShard:
    """A shard that is being written, and what is counted meanwhile."""

    tar: TarWriter
    galleries: HeldOutGalleries
    objects: ObjectReader
    exif: ExifRule
    counts: Counts = field(default_factory=Counts)
    content: ShardContent = field(default_factory=ShardContent)
    held_out: list[HeldOut] = field(default_factory=list)
    pictures: list[Pictures] = field(default_factory=list)

    def add(self, position: int, planned: PlannedImage, references: References, read_file: Read) -> None:
        """Add an image with its annotations, or count why it or one of its copies is not included."""
        try:
            file = read_image_file(planned.merged.canonical, read_file, self.exif)
            if planned.merged.split != TRAIN:
                self.pictures += describe_file(position, file)
            listed = turned_as(planned.merged, file)
            image, annotations = self._read_objects(listed, file, references)
        except BrokenError as error:
            self._reject(planned.merged, self.objects.read(planned.merged, references), error)
            return
        if key := copy_of(image, file, self.galleries):
            self._exclude(image.copies, annotations, "copy_of_val", "content", key)
            return
        if wrong := disagreeing(planned, file.grey, read_file, self.exif):
            own = [each for each in annotations if each.file.source in {copy.source for copy in wrong}]
            self._exclude(wrong, own, "id_content_disagree", "id_content_disagree", image.key)
            right = tuple(copy for copy in image.copies if copy not in wrong)
            image = msgspec.structs.replace(image, copies=right)
            annotations = [each for each in annotations if each not in own]
        image = self._with_findings(image, listed, file, annotations)
        self.tar.add(image, file, build_record(image, annotations, self.counts, self.content, file.upright))

    def add_unwritten(self, position: int, planned: PlannedImage, read_file: Read) -> None:
        """Describe a held-out image beyond the limit; count that it is, or why it cannot be read. One that was rejected
        is counted already."""
        try:
            self.pictures += describe_file(position, read_image_file(planned.merged.canonical, read_file, self.exif))
        except BrokenError as error:
            if not planned.rejected:
                self._reject(planned.merged, [], error)
            return
        for copy in () if planned.rejected else planned.merged.copies:
            self.counts.exclude(copy.source, "beyond_limit")

    def add_unread(self, planned: PlannedImage, references: References) -> None:
        """Count an image and its annotations, without a look at its file."""
        build_record(planned.merged, self.objects.read(planned.merged, references), self.counts, self.content)

    def _read_objects(
        self, image: MergedImage, file: ImageFile, references: References
    ) -> tuple[MergedImage, list[FileAnnotations]]:
        """The image with its file's width and height, and its objects; raises BrokenError if these do not fit.

        Another copy of the same file whose objects do not fit is rejected by itself.
        """
        sized = with_size_of_file(image, file)
        annotations = self.objects.read(sized, references)
        wrong = of_other_pixels(image, file, annotations)
        if not wrong:
            return sized, annotations
        if image.canonical in wrong:
            raise mismatch(image.canonical, file)
        for copy in wrong:
            self.counts.reject_image(copy, mismatch(copy, file))
        sources = {copy.source for copy in wrong}
        for each in annotations:
            if each.file.source in sources:
                self.counts.exclude(each.file.source, "photograph_rejected", each.objects.count)
        right = tuple(copy for copy in sized.copies if copy.source not in sources)
        annotations = [each for each in annotations if each.file.source not in sources]
        return msgspec.structs.replace(sized, copies=right), annotations

    def _with_findings(
        self, image: MergedImage, listed: MergedImage, file: ImageFile, annotations: list[FileAnnotations]
    ) -> MergedImage:
        """The image, its copies marked as repaired where what its file makes of the `listed` ones is a repair."""
        of_its_file = {copy.identity: copy for copy in listed.of_its_file}
        copies = []
        for copy in image.copies:
            findings = [*file.findings] if copy is image.canonical else []
            if (as_listed := of_its_file.get(copy.identity)) is not None:
                own = (each for each in annotations if each.file.source == copy.source)
                findings += [*size_finding(as_listed, file), *boxes_finding(as_listed, file, own)]
            repaired = self._count_findings(copy, findings)
            copies.append(msgspec.structs.replace(copy, repaired=True) if repaired else copy)
        return msgspec.structs.replace(image, copies=tuple(copies))

    def _count_findings(self, image: SourceImage, findings: Sequence[tuple[str, str]]) -> bool:
        """Count what the image's file makes of it, each by its reason and what was seen; returns whether any of it is a
        repair."""
        for reason, seen in findings:
            example = Example(image.listed, image.offset, "photograph", image.id, f"{image.name}: {seen}")
            if reason in REPAIRED:
                self.counts.repair(image.source, reason, example)
            else:
                self.counts.note(image.source, reason, example)
        return any(reason in REPAIRED for reason, _ in findings)

    def _reject(self, image: MergedImage, annotations: list[FileAnnotations], error: BrokenError) -> None:
        self.counts.reject_image(image.canonical, error)
        for copy in image.copies[1:]:
            self.counts.exclude(copy.source, "copy_rejected")
        for each in annotations:
            self.counts.exclude(each.file.source, "photograph_rejected", each.objects.count)

    def _exclude(
        self, copies: Iterable[SourceImage], annotations: list[FileAnnotations], reason: str, by: ToldBy, key: str
    ) -> None:
        for copy in copies:
            self.counts.exclude_image(copy, reason, f"{copy.name} is {key}")
            self.held_out.append(HeldOut(copy.source, copy.dataset_id, by, key))
        for each in annotations:
            self.counts.exclude(each.file.source, "photograph_left_out", each.objects.count)
