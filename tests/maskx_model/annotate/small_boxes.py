"""Small files with boxes, and the images they are in."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

NAMES = ["cup", "chair"]
CATEGORIES = [
    {"id": 1, "name": "Cup", "supercategory": "kitchen"},
    {"id": 7, "name": "chair"},
    {"id": 9, "name": "elk"},
]
MASK = [[10, 10, 40, 10, 40, 40, 10, 40]]


def annotation(number: int, image: int = 1, **fields: Any) -> dict[str, Any]:
    """An annotation of a cup, without a mask."""
    return {"id": number, "image_id": image, "category_id": 1, "bbox": [20.5, 15, 60, 50], **fields}


def write_boxes(folder: Path, annotations: list[Any], images: int = 2, **members: Any) -> str:
    """`boxes.json` and `images/` with noise of 160 × 120 pixels; returns the `--source` option."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    listed = []
    for number in range(1, images + 1):
        (folder / f"images/{number}.png").write_bytes(png(number))
        listed.append({"id": number, "width": 160, "height": 120, "file_name": f"{number}.png", "license": None})
    document = {"info": {"é": 1.50}, "images": listed, "annotations": annotations, "categories": CATEGORIES, **members}
    (folder / "boxes.json").write_text(json.dumps(document, indent=1, ensure_ascii=False))
    return f"mine=coco:{folder}/boxes.json,{folder}/images"


def png(seed: int, width: int = 160, height: int = 120) -> bytes:
    """Blobs of color."""
    coarse = np.random.default_rng(seed).integers(0, 255, (6, 8, 3)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC).save(buffer, "PNG")
    return buffer.getvalue()
