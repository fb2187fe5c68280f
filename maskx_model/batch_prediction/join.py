"""The parts joined: Parquet files of a good size, and COCO's results."""

import pyarrow as pa
import pyarrow.parquet as pq

from data_prep.beam.part_files import PartFiles, cut
from data_prep.format.parquet import write_tables
from data_prep.format.rejects import allowed_rejects
from data_prep.format.vocabulary import Vocabulary
from data_prep.storage.errors import DataError
from data_prep.storage.storage import info, read, sha256
from maskx_model.batch_prediction.manifest import NAMED, Shard
from maskx_model.batch_prediction.rows import SCHEMA, results_of
from maskx_model.inference.coco_files import coco_files

PARTS_OF_SHARD = 64
"""Parts of a file of predictions: some 2,000 images, 10 to 40 MB where each shows a hundred objects."""


class Joined:
    """The files of predictions, the objects in them, and why images could not be read, of each."""

    def __init__(self) -> None:
        self.shards: list[Shard] = []
        self.objects = 0
        self.problems: list[str] = []


def join(out: str, files: PartFiles, parts: int, vocabulary: Vocabulary, max_rejected: float) -> Joined:
    """Write `predictions-….parquet`, then `results.json` and `images.json`.

    Raises DataError, and writes neither of these two, if more images could not be read than `allowed_rejects` allows
    for the fraction `max_rejected`.
    """
    joined = Joined()
    with coco_files(out, vocabulary) as add:
        for start, end in cut(parts, PARTS_OF_SHARD):
            tables = [_table(files.uri(part)) for part in range(start, end)]
            joined.shards.append(_write_shard(out, len(joined.shards), tables))
            for row in (row for table in tables for row in table.to_pylist()):
                if row["error"] is not None:
                    joined.problems.append(row["error"])
                    continue
                joined.objects += len(row["objects"])
                sizes = {"width": row["width"], "height": row["height"]}
                add({"id": row["image_id"], **sizes, "file_name": row["file_name"]}, results_of(row))
        _check_ceiling(joined, max_rejected)
    return joined


def _write_shard(out: str, number: int, tables: list[pa.Table]) -> Shard:
    name = f"predictions-{number:06d}.parquet"
    write_tables(f"{out}/{name}", SCHEMA, tables)
    found = info(f"{out}/{name}")
    assert found is not None
    return Shard(name, sum(table.num_rows for table in tables), found.bytes, sha256(f"{out}/{name}"))


def _check_ceiling(joined: Joined, max_rejected: float) -> None:
    images = sum(shard.images for shard in joined.shards)
    if len(joined.problems) > allowed_rejects(images, max_rejected):
        named = "; ".join(joined.problems[:NAMED]) + ("; …" if len(joined.problems) > NAMED else "")
        raise DataError(
            f"{len(joined.problems)} of {images} images could not be read, more than the allowed {max_rejected:.1%}: "
            f"{named}; raise --max-rejected to go on without them, or repair them and choose another --out"
        )


def _table(uri: str) -> pa.Table:
    try:
        return pq.read_table(pa.BufferReader(read(uri)), schema=SCHEMA, use_threads=False)
    except pa.ArrowException as error:
        raise DataError(f"{uri}: damaged ({error}); delete it and give the command again") from None
