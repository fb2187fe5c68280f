"""One annotation of a COCO file with any fields, as it is read, and the ways to write its mask."""

import json
from typing import Any

from data_prep.format.records import Annotation
from data_prep.format.rle import encode_run_lengths
from data_prep.sources.coco_annotations import add_coco_annotation
from data_prep.sources.coercions import to_id
from data_prep.sources.coordinates import CoordinateTransform
from data_prep.sources.objects import ImageObjects, RawRecord
from tests.data_prep.small_sources import coco_object

CATEGORIES = {1: "cat", to_id("id", "dog-7"): "dog"}
SQUARE = [2, 3, 12, 3, 12, 8, 2, 8]
POINTS = [{"x": x, "y": y} for x, y in zip(SQUARE[::2], SQUARE[1::2], strict=True)]
WIDTH, HEIGHT = 40, 30
RUNS = {"size": [HEIGHT, WIDTH], "counts": [63, 5, 25, 5, 25, 5, 25, 5, 25, 5, 25, 5, 25, 5, 25, 5, 25, 5, 25, 5, 862]}
COMPRESSED = encode_run_lengths(RUNS["counts"], (HEIGHT, WIDTH)).counts


def read(**fields: Any) -> tuple[Annotation | None, list[str], ImageObjects]:
    """The annotation that comes of a whole one with these fields, its repairs, and all that was made of it."""
    record = {name: value for name, value in coco_object(7, 1, **fields).items() if value != "absent"}
    objects = ImageObjects()
    transform = CoordinateTransform(WIDTH, HEIGHT)
    add_coco_annotation(RawRecord(json.dumps(record).encode(), 99, transform, objects), CATEGORIES)
    annotation = objects.annotations[0] if objects.annotations else None
    return annotation, [repair.reason for repair in objects.repairs], objects
