"""A shard's tar, of which no byte differs between runs, and the index rows of what it holds."""

import hashlib
import tarfile
from typing import BinaryIO

from data_prep.format.index import IndexRow
from data_prep.format.manifest import Shard
from data_prep.format.records import Record, encode_record
from data_prep.plan.merge import MergedImage
from data_prep.plan.plan import PlannedShard
from data_prep.shards.image_file import ImageFile

_BLOCK = 512
_DIGEST = 16


class TarWriter:
    """Writes images and their records to a file. `rows`: the index row of each; `digests`: the hash of each file."""

    def __init__(self, file: BinaryIO, planned: PlannedShard) -> None:
        self.rows: list[IndexRow] = []
        self.digests: list[str] = []
        self._file = file
        self._planned = planned
        self._hash = hashlib.sha256()
        self._position = 0

    def add(self, image: MergedImage, file: ImageFile, record: Record) -> None:
        """Append an image and its record."""
        encoded = encode_record(record)
        image_offset = self._member(f"{image.key}.{file.extension}", file.data)
        record_offset = self._member(f"{image.key}.json", encoded)
        self.digests.append(hashlib.sha256(file.data).hexdigest()[:_DIGEST])
        self.rows.append(
            IndexRow(
                key=image.key,
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
                flickr_id=next((copy.flickr_id for copy in image.copies if copy.flickr_id is not None), None),
                license=image.canonical.license,
                classes={source: sorted({a.category for a in found}) for source, found in record.objects.items()},
            )
        )

    def finish(self) -> Shard:
        """End the tar and describe it."""
        self._write(bytes(2 * _BLOCK))
        planned = self._planned
        digest = self._hash.hexdigest()
        return Shard(planned.path, planned.split, planned.part, len(self.rows), self._position, digest)

    def _member(self, name: str, data: bytes) -> int:
        """Append a file; returns the byte at which its data begins."""
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
