"""A finished dataset, open for reading: manifest, vocabulary, index, and any sample by its row.

What finds that its work is done needs the manifest and the vocabulary alone: Arrow, NumPy and Pillow, whose imports
take half a second, are imported when the index or an image is read.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from data_prep.format.manifest import Manifest, read_manifest
from data_prep.format.records import Record, decode_record
from data_prep.format.vocabulary import Vocabulary, read_vocabulary
from data_prep.storage.errors import JSON_ERRORS, DataError
from data_prep.storage.storage import read_range

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from data_prep.format.index import IndexRow
    from data_prep.format.mapped_index import MappedIndex
    from data_prep.format.rows import Rows


@dataclass(frozen=True)
class Dataset:
    """A dataset at a URI. Opening reads the manifest only; the rest is read when asked for."""

    uri: str
    manifest: Manifest

    def __reduce__(self) -> tuple[type["Dataset"], tuple[str, Manifest]]:
        """Another process opens the rest itself."""
        return Dataset, (self.uri, self.manifest)

    @classmethod
    def open(cls, uri: str) -> "Dataset":
        """Open a finished dataset; raises DataError where there is none."""
        return cls(uri.rstrip("/"), read_manifest(uri))

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The classes in order."""
        return read_vocabulary(f"{self.uri}/vocabulary.json")

    @cached_property
    def mapped_index(self) -> "MappedIndex":
        """The index as columns in memory that all processes of this machine share."""
        from data_prep.format.mapped_index import map_index

        return map_index(f"{self.uri}/index.parquet")

    @property
    def index(self) -> "pa.Table":
        """All images in the order of the shards, as a table (`index.SCHEMA`)."""
        return self.mapped_index.table

    @cached_property
    def rows(self) -> "Rows":
        """All images, in the order of the shards."""
        from data_prep.format.rows import Rows

        return Rows.of(self.mapped_index)

    def find(self, key: str) -> "IndexRow | None":
        """The image with this key; None if there is none."""
        import pyarrow.compute as pc

        from data_prep.format.index import index_rows

        position = pc.index(self.index["key"], key).as_py()
        return None if position < 0 else index_rows(self.index.slice(position, 1))[0]

    def select(self, split: str, source: str | None = None) -> "Rows":
        """The images of a split, those that `source` has annotated if it is named; raises DataError with the splits and
        sources there are if none."""
        rows = self.rows.of_split(split, source)
        if not rows:
            named = "a split and a source (--source)" if source else "a split"
            raise DataError(
                f"{self.uri}: split {split!r} has no image{f' of source {source!r}' if source else ''}; the dataset "
                f"has {self._splits_and_sources()}; name {named} of these"
            )
        return rows

    def check_source(self, source: str) -> None:
        """Raise DataError, with the sources there are, if the dataset has no such source."""
        names = [each.name for each in self.manifest.sources]
        if source not in names:
            raise DataError(
                f"{self.uri}: no source {source!r}; the dataset's sources are {', '.join(names)}; name one of them "
                "(--source)"
            )

    def _splits_and_sources(self) -> str:
        """`split 'train' of sources coco, vg; split 'val' of source coco`."""
        sources: dict[str, set[str]] = {}
        for row in self.rows:
            sources.setdefault(row.split, set()).update(row.ids)
        return "; ".join(
            f"split {split!r} of source{'s' if len(names) > 1 else ''} {', '.join(sorted(names))}"
            for split, names in sorted(sources.items())
        )

    def read_image(self, row: "IndexRow") -> bytes:
        """The image's bytes, as the source has them."""
        return read_range(f"{self.uri}/{row.shard}", row.image_offset, row.image_length)

    def pixels(self, row: "IndexRow") -> "npt.NDArray[np.uint8]":
        """The image as its record means it, uint8 [H, W, 3] RGB; raises DataError if it cannot be decoded."""
        return self.read_both(row)[0]

    def read_record(self, row: "IndexRow") -> Record:
        """The image's annotations; raises DataError if the shard is damaged there."""
        return self.decode(row, read_range(f"{self.uri}/{row.shard}", row.record_offset, row.record_length))

    def read_both(self, row: "IndexRow") -> "tuple[npt.NDArray[np.uint8], Record]":
        """The image as its record means it, uint8 [H, W, 3] RGB, and the record, which stands beside it: one read."""
        from data_prep.format.images import decode_rgb

        image, record = self.read_encoded(row)
        return decode_rgb(image, f"{self.uri}/{row.shard}: {row.key}", upright=record.upright), record

    def read_encoded(self, row: "IndexRow") -> tuple[bytes, Record]:
        """The image's bytes and the record: one read."""
        end = row.record_offset + row.record_length
        data = read_range(f"{self.uri}/{row.shard}", row.image_offset, end - row.image_offset)
        return data[: row.image_length], self.decode(row, data[-row.record_length :])

    def decode(self, row: "IndexRow", data: bytes) -> Record:
        """The record whose bytes stand where the row says; raises DataError if they are damaged."""
        try:
            return decode_record(data)
        except JSON_ERRORS as error:
            raise DataError(
                f"{self.uri}/{row.shard}: damaged at the record of {row.key} ({error}); prepare the dataset again"
            ) from None
