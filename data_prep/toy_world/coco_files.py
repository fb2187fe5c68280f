"""COCO's side: `instances_*.json` with polygons for objects and run lengths for crowds."""

from collections.abc import Iterable
from itertools import count, islice
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from data_prep.toy_world.catalogue import Entry
from data_prep.toy_world.classes import Style, ToyClass, common_classes
from data_prep.toy_world.scenes import Scene, SeenObject

Polygon = list[float]  # x, y, x, y … in pixels, to 0.01

TRACING_SCALE = 4  # outlines are traced on a grid four times as fine as the pixels
SMALLEST_FRAGMENT = 3.0  # square pixels; smaller parts and holes are left out of the polygons
LICENCES = [{"url": "http://creativecommons.org/publicdomain/zero/1.0/", "id": 1, "name": "CC0 1.0 Universal"}]


class InstancesFile:
    """Collects one `instances_{split}2017.json`."""

    def __init__(self, style: Style, split: str) -> None:
        self._split = split
        self._classes = common_classes(style)
        self._category_ids = dict(zip(self._classes, _ids_with_gaps(), strict=False))
        self._images: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []

    def add(self, entry: Entry, scene: Scene) -> None:
        """Adds an image and its objects; rare classes are unknown to COCO and stay out."""
        height, width, _ = scene.pixels.shape
        self._images.append(_image(entry, height, width))
        known = [member for member in scene.objects if member.toy_class in self._category_ids]
        for member in known:
            if not member.in_crowd:
                self._annotate(entry, member.toy_class, _polygon_fields(member))
        if crowd := [member for member in known if member.in_crowd]:
            self._annotate(entry, crowd[0].toy_class, _crowd_fields(crowd))

    def _annotate(self, entry: Entry, toy_class: ToyClass, fields: dict[str, Any]) -> None:
        number = len(self._annotations) + 1  # from 1: the evaluators read 0 as "unmatched"
        ids = {"image_id": entry.coco_id, "category_id": self._category_ids[toy_class], "id": number}
        self._annotations.append(fields | ids)

    @property
    def crowds(self) -> int:
        return sum(annotation["iscrowd"] for annotation in self._annotations)

    def document(self) -> dict[str, Any]:
        """The file's content, with COCO's keys in COCO's order."""
        return {
            "info": {"description": f"Toy world, generated images, {self._split}", "version": "1.0", "year": 2017},
            "licenses": LICENCES,
            "categories": [
                {"supercategory": member.supercategory, "id": self._category_ids[member], "name": member.name}
                for member in self._classes
            ],
            "images": self._images,
            "annotations": self._annotations,
        }


def trace(coverage: NDArray[np.float32]) -> list[Polygon]:
    """Outlines of the region in which ``coverage`` (height, width) is above one half.

    Several where it falls apart; a region with a hole is cut in two through the hole, because polygons of
    one object add up.
    """
    height, width = coverage.shape
    framed = np.pad(coverage, 1)  # so that outlines close at the picture's edge
    finer = ((width + 2) * TRACING_SCALE, (height + 2) * TRACING_SCALE)
    fine = cv2.resize(framed, finer, interpolation=cv2.INTER_LINEAR) > 0.5
    outlines = _simple_outlines(fine.astype(np.uint8), first_column=0)
    polygons = ((outline + 0.5) / TRACING_SCALE - 1 for outline in outlines)
    limits = np.array([width, height], dtype=np.float64)
    return [np.round(np.clip(polygon, 0, limits), 2).ravel().tolist() for polygon in polygons]


def run_lengths(mask: NDArray[np.bool_]) -> list[int]:
    """COCO's uncompressed counts: lengths of runs down the columns, zeros first."""
    flat = np.concatenate([[False], mask.ravel(order="F")])
    changes = np.flatnonzero(np.diff(flat))
    counts: list[int] = np.diff(np.concatenate([[0], changes, [mask.size]])).tolist()
    return counts


def _simple_outlines(fine: NDArray[np.uint8], first_column: int) -> list[NDArray[np.float64]]:
    """Outlines without holes on the fine grid: each (corners, 2) float64, x and y of pixel centers."""
    smallest = SMALLEST_FRAGMENT * TRACING_SCALE**2
    contours, hierarchy = cv2.findContours(fine, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    outlines = []
    for contour, (_, _, _, parent) in zip(contours, hierarchy[0] if len(contours) else [], strict=True):
        if cv2.contourArea(contour) < smallest:
            continue
        if parent >= 0:
            cut = round(float(contour[:, 0, 0].mean()))
            left = _simple_outlines(np.ascontiguousarray(fine[:, :cut]), first_column)
            return left + _simple_outlines(np.ascontiguousarray(fine[:, cut:]), first_column + cut)
        corners = cv2.approxPolyDP(contour, 1.0, closed=True)[:, 0].astype(np.float64)
        corners[:, 0] += first_column
        outlines.append(corners)
    return outlines


def _ids_with_gaps() -> Iterable[int]:
    """COCO's category ids leave numbers out; so do these."""
    return islice((number for number in count(1) if number % 9), 60)


def _image(entry: Entry, height: int, width: int) -> dict[str, Any]:
    return {
        "license": 1,
        "file_name": f"{entry.coco_id:012d}.jpg",
        "coco_url": f"http://images.cocodataset.org/{entry.split}2017/{entry.coco_id:012d}.jpg",
        "height": height,
        "width": width,
        "date_captured": "2013-11-16 20:51:03",
        "flickr_url": f"http://farm1.staticflickr.com/1/{entry.flickr_id}_abc_z.jpg",
        "id": entry.coco_id,
    }


def _polygon_fields(member: SeenObject) -> dict[str, Any]:
    polygons = trace(member.coverage)
    corners = np.concatenate([np.reshape(polygon, (-1, 2)) for polygon in polygons])
    (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
    return {
        "segmentation": polygons,
        "area": float(member.mask.sum()),
        "iscrowd": 0,
        "bbox": [round(float(value), 2) for value in (left, top, right - left, bottom - top)],
    }


def _crowd_fields(crowd: list[SeenObject]) -> dict[str, Any]:
    mask = np.logical_or.reduce([member.mask for member in crowd])
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    left, top = float(columns[0]), float(rows[0])
    return {
        "segmentation": {"counts": run_lengths(mask), "size": list(mask.shape)},
        "area": float(mask.sum()),
        "iscrowd": 1,
        "bbox": [left, top, float(columns[-1] + 1 - left), float(rows[-1] + 1 - top)],
    }
