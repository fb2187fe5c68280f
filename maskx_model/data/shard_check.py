"""Whether a dataset's shards are those that its manifest and index speak of: looked at, not read."""

import numpy as np

from data_prep.format.reader import Dataset
from data_prep.format.rows import Rows
from data_prep.storage.errors import DataError
from data_prep.storage.storage import FileInfo, finder


def check_shards(data: Dataset, rows: Rows) -> None:
    """Raise DataError for the first of these rows' shards that the manifest does not name, that is missing or of
    another size than the manifest says, or that ends before its last image.

    What a shard holds is checked as it is read (`decode.py`), and by `maskx data verify`.
    """
    codes, names = rows.texts("shard")
    ends = np.zeros(len(names), np.int64)
    np.maximum.at(ends, codes, rows.numbers("record_offset") + rows.numbers("record_length"))
    sizes = {shard.path: shard.bytes for shard in data.manifest.shards}
    find = finder(data.uri)
    for name, end in zip(names, ends.tolist(), strict=True):
        if end and (problem := _problem(end, sizes.get(name), find(name))):
            raise DataError(
                f"{data.uri}/{name}: {problem}; manifest, index and shards do not belong together: copy the dataset "
                "again, or prepare it again"
            )


def _problem(end: int, told: int | None, found: FileInfo | None) -> str | None:
    if told is None:
        return "the index has images in it, but manifest.json does not name it"
    if found is None:
        return "missing, though manifest.json names it"
    if found.bytes != told:
        return f"has {found.bytes} bytes, manifest.json says {told}"
    return f"ends at byte {told}, but the index has an image up to byte {end}" if end > told else None
