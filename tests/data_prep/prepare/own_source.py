"""A COCO-format source of one's own, and the dataset made of it."""

import json
from pathlib import Path
from typing import Any

from data_prep.format.manifest import Manifest
from tests.data_prep.small_sources import CATEGORIES, jpeg, prepare_plainly


def write(folder: Path, images: list[Any], annotations: list[Any], categories: list[Any] = CATEGORIES) -> str:
    """A file of one's own and its images; returns the source's path."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    document = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "own.json").write_text(json.dumps(document))
    for image in images:
        size = (image.get("width") or 40, image.get("height") or 30)
        seed = int.from_bytes(image["file_name"].encode()[:12])
        (folder / "images" / image["file_name"]).write_bytes(jpeg(seed, size))
    return f"{folder}/own.json,{folder}/images"


def made(folder: Path, *sources: str) -> Manifest:
    """The dataset `out`, of whose records three in ten may be broken."""
    return prepare_plainly(folder / "out", *sources, max_rejected=0.3)
