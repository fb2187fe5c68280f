"""The images that a training reads, refused before it begins where nothing can be learned from them."""

from typing import TYPE_CHECKING

from data_prep.format.reader import Dataset
from data_prep.storage.errors import DataError

if TYPE_CHECKING:
    from data_prep.format.rows import Rows

SPLIT = "train"


def training_images(data: Dataset, source: str) -> "Rows":
    """The training images of a source, in the order of the shards.

    Raises DataError if there are none, if none shows an object of the vocabulary's classes, if all objects are
    crowds, which are never positives, or if the shards are not those of the manifest.
    """
    from maskx_model.data.shard_check import check_shards

    rows = data.select(SPLIT, source)
    check_shards(data, rows)
    known = data.vocabulary.index(source).keys()
    if all(known.isdisjoint(part.names) for part in rows.shown(source)):
        raise DataError(
            f"{data.uri}: none of the {len(rows)} training images of source {source!r} has an object of the dataset's "
            "classes, so there is nothing to learn; check the source's annotation file and prepare the dataset again"
        )
    objects, crowds = (training_count(data, source, what) for what in ("objects", "crowds"))
    if 0 < objects <= crowds:
        raise DataError(
            f"{data.uri}: all {objects} objects of source {source!r} in the training images are crowds (iscrowd 1), "
            "from which nothing is learned; write iscrowd 0 where an annotation is one object, and prepare the dataset "
            "again"
        )
    return rows


def training_count(data: Dataset, source: str, what: str) -> int:
    """How many `objects`, `crowds` or `masks` of a source the training images have, as the manifest counts them."""
    return sum(counts.get(f"{source}_{what}", 0) for counts in data.manifest.counts.get(SPLIT, {}).values())
