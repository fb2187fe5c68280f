"""Real images for benchmarks: read, cropped, resized and encoded."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask

from data_prep.format.images import decode_rgb

Pixels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.uint8]

# A subject that moves between two frames covers a fraction of them within this range.
_SUBJECT = (0.015, 0.4)


@dataclass(frozen=True)
class RealImage:
    """An image of COCO with its annotations as COCO's file has them; `record` is its own there."""

    path: Path
    record: dict[str, Any]
    annotations: list[dict[str, Any]]

    def pixels(self) -> Pixels:
        """The image, uint8 [H, W, 3], BGR."""
        return decode_rgb(self.path.read_bytes(), str(self.path))[:, :, ::-1].copy()

    def subjects(self) -> list[Mask]:
        """Masks uint8 [H, W] of the objects that can be the subject that moves."""
        height, width = self.record["height"], self.record["width"]
        low, high = (share * height * width for share in _SUBJECT)
        polygons = [a["segmentation"] for a in self.annotations if not a["iscrowd"] and low < a["area"] < high]
        return [coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(p, height, width))) for p in polygons]


def real_images() -> list[RealImage]:
    """Every image of the sample that MASKX_REAL_SAMPLE names; without one the benchmark ends with a sentence."""
    folder = os.environ.get("MASKX_REAL_SAMPLE")
    if not folder or not (Path(folder) / "coco").is_dir():
        raise SystemExit("this benchmark needs real images: set MASKX_REAL_SAMPLE to a folder with coco/ in it")
    return [image for split in ("train", "val") for image in _listed(Path(folder) / "coco", split)]


def _listed(coco: Path, split: str) -> Iterator[RealImage]:
    document = msgspec.json.decode((coco / f"annotations/instances_{split}2017.json").read_bytes())
    annotations: dict[int, list[dict[str, Any]]] = {}
    for annotation in document["annotations"]:
        annotations.setdefault(annotation["image_id"], []).append(annotation)
    for record in document["images"]:
        yield RealImage(coco / f"{split}2017" / record["file_name"], record, annotations.get(record["id"], []))


def jpeg(pixels: Pixels, quality: int) -> bytes:
    """The pixels, BGR, as JPEG."""
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def cropped(pixels: Pixels, left: float, top: float, right: float, bottom: float) -> Pixels:
    """The pixels without these fractions of their sides."""
    height, width, _ = pixels.shape
    part: Pixels = pixels[
        round(top * height) : round((1 - bottom) * height), round(left * width) : round((1 - right) * width)
    ]
    return part


def resized(pixels: Pixels, scale: float) -> Pixels:
    """The pixels at `scale` times their size."""
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    size: Pixels = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=how)
    return size
