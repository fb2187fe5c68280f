"""The table of predictions: a row per image, with a list of what was found in it."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from data_prep.format.vocabulary import Vocabulary
from maskx_model.inference.one_size import Pixels
from maskx_model.results.coco_results import category_ids, to_results
from maskx_model.results.instances import Instances

OBJECT = pa.struct(
    [
        pa.field("category_id", pa.int32()),
        pa.field("synset", pa.string()),
        pa.field("name", pa.string()),
        pa.field("bbox", pa.list_(pa.float64(), 4)),
        pa.field("score", pa.float64()),
        pa.field("segmentation", pa.string()),
    ]
)
"""An object: the numbers of COCO's results (bbox: x, y, width, height in pixels; score 0 to 1), its class's synset and
name, and its mask's compressed COCO run lengths, over the whole image."""
SCHEMA = pa.schema(
    [
        pa.field("image_id", pa.int64()),
        pa.field("file_name", pa.string()),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("objects", pa.list_(OBJECT)),
        pa.field("error", pa.string()),
    ]
)
"""`image_id` and `file_name`: as in `images.json`. `width` and `height`: in pixels, of the image as it is read. Where
the image could not be read, `error` says why, and it has neither a size nor objects."""

Row = dict[str, Any]


class Describing:
    """Turns what a model found into rows."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._categories = category_ids(vocabulary)
        self._classes = dict(zip(self._categories, vocabulary.classes, strict=True))

    def row(self, image_id: int, name: str, pixels: Pixels, instances: Instances) -> Row:
        """An image's row."""
        height, width = pixels.shape[:2]
        objects = []
        for result in to_results(image_id, instances, self._categories):
            known = self._classes[result["category_id"]]
            mask = result["segmentation"]["counts"]
            objects.append({**result, "synset": known.synset, "name": known.name, "segmentation": mask})
        return {"image_id": image_id, "file_name": name, "width": width, "height": height, "objects": objects}


def unreadable(image_id: int, name: str, error: str) -> Row:
    """The row of an image that cannot be read."""
    return {"image_id": image_id, "file_name": name, "error": error}


def to_table(rows: Sequence[Row]) -> pa.Table:
    """The rows as a table."""
    return pa.Table.from_pylist(list(rows), schema=SCHEMA)


def results_of(row: Row) -> list[dict[str, Any]]:
    """An image's objects in COCO's results format, without `image_id`, as `to_results` has them."""
    size = [row["height"], row["width"]]
    return [
        {
            "category_id": each["category_id"],
            "bbox": each["bbox"],
            "score": each["score"],
            "segmentation": {"size": size, "counts": each["segmentation"]},
        }
        for each in row["objects"]
    ]
