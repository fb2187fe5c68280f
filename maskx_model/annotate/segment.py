"""A worker's part: read its images, segment the boxes, write the masks."""

from collections import Counter
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache

import msgspec
import numpy as np
import numpy.typing as npt
import torch

from data_prep.format.records import Rle
from data_prep.format.rle import coco_object, mask_area
from data_prep.storage.errors import DataError
from data_prep.storage.read_ahead import begun_ahead, reading_threads
from data_prep.storage.storage import write
from maskx_model.annotate.calibration import certainty
from maskx_model.annotate.outcomes import EMPTY, NO_BOX, NO_IMAGE, SEGMENTED
from maskx_model.annotate.pixels import Pixels, ReadImage, read_pixels
from maskx_model.annotate.polygons import mask_polygons
from maskx_model.annotate.work import (
    BoxedImage,
    MadeMask,
    Objects,
    PartResult,
    Plan,
    part_files,
    plan_version,
    read_images,
    read_objects,
    read_plan,
)
from maskx_model.config import PLAIN, Compute
from maskx_model.inference.segmenter import Segmenter

AHEAD = 4
"""Number of images that are read while one is segmented."""
PROBLEMS = 5
"""The most images that cannot be used and that a part names."""


def nothing(_images: int) -> None:
    """Tells nobody."""


@dataclass(frozen=True)
class SegmentPart:
    """Does a part of the plan at `out`: writes its `PartResult`. `model`: a model folder with its hash; `tolerance`: of
    polygons, in pixels, None for run lengths; `threads`: how many a process computes with, None for torch's own number.
    """

    out: str
    model: str
    model_hash: str
    compute: Compute = PLAIN
    tolerance: float | None = None
    threads: int | None = None

    def __call__(self, part: int, done: Callable[[int], object] = nothing) -> None:
        """Segment part number `part`, and call `done` with 1 after each image."""
        if self.threads is not None:
            torch.set_num_threads(self.threads)
        plan, images, objects = _opened(self.out, plan_version(self.out))
        start, end = plan.parts[part]
        own = objects[np.searchsorted(objects["image"], start) : np.searchsorted(objects["image"], end)]
        by_image = np.split(own, np.searchsorted(own["image"], np.arange(start + 1, end)))
        result, left_as_stored = PartResult([], Counter(), []), 0
        segmenter = _loaded(self.model, self.model_hash, self.compute)
        with closing(_read_ahead(images[start:end])) as coming:
            for image, boxed in zip(coming, by_image, strict=True):
                if isinstance(image, str):
                    result.problems.append(image)
                    result.outcomes[NO_IMAGE] = result.outcomes.get(NO_IMAGE, 0) + len(boxed)
                else:
                    left_as_stored += image.left_as_stored
                    self._segment(segmenter, image.pixels, boxed, result)
                done(1)
        kept = msgspec.structs.replace(result, problems=result.problems[:PROBLEMS], exif_orientation=left_as_stored)
        write(part_files(self.out).uri(part), msgspec.json.encode(kept))

    def _segment(self, segmenter: Segmenter, pixels: Pixels, boxed: Objects, result: PartResult) -> None:
        boxes, inside = clipped(boxed["box"], pixels.shape[1], pixels.shape[0])
        outcomes = Counter({NO_BOX: int((~inside).sum())})
        boxed = boxed[inside]
        masks, probabilities = segmenter.segment_given(pixels, boxes[inside], boxed["label"].astype(np.int64))
        sure = certainty(probabilities)
        for thing, mask, each in zip(boxed, masks, sure, strict=True):
            if mask_area(mask) == 0:
                outcomes[EMPTY] += 1
                continue
            outcomes[SEGMENTED] += 1
            result.masks.append(MadeMask(int(thing["file"]), int(thing["number"]), each, self._written(mask)))
        for outcome, number in outcomes.items():
            if number:
                result.outcomes[outcome] = result.outcomes.get(outcome, 0) + number

    def _written(self, mask: Rle) -> msgspec.Raw:
        what = coco_object(mask) if self.tolerance is None else mask_polygons(mask, self.tolerance)
        return msgspec.Raw(msgspec.json.encode(what))


def clipped(
    boxes: npt.NDArray[np.float64], width: int, height: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Boxes (x, y, width, height) [N, 4] → xyxy float32 [N, 4] clipped to the image, and which of them have an area
    there, bool [N]."""
    corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
    corners = corners.clip(0, [width, height, width, height]).astype(np.float32)
    return corners, (corners[:, 0] < corners[:, 2]) & (corners[:, 1] < corners[:, 3])


def _read_ahead(images: list[BoxedImage]) -> Generator[ReadImage | str, None, None]:
    """Each image, or why it cannot be used; a few are read by threads before they are asked for."""
    with reading_threads(AHEAD) as threads:
        for coming in begun_ahead((threads.submit(_read, image) for image in images), AHEAD):
            yield coming.result()


def _read(image: BoxedImage) -> ReadImage | str:
    try:
        return read_pixels(image)
    except DataError as error:
        return str(error)


@lru_cache(maxsize=1)
def _opened(out: str, _version: int | str) -> tuple[Plan, list[BoxedImage], Objects]:
    plan = read_plan(out)
    assert plan is not None
    return plan, read_images(out), read_objects(out)


@lru_cache(maxsize=1)
def _loaded(model: str, _hash: str, compute: Compute) -> Segmenter:
    return Segmenter.load(model, compute)
