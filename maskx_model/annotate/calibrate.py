"""Learn what a model's certainty foretells, on objects of a prepared dataset whose masks people have drawn."""

import itertools
import logging
from collections.abc import Iterator

import numpy as np
from pycocotools import mask as coco_mask
from tqdm import tqdm

from data_prep.format.index import IndexRow
from data_prep.format.reader import Dataset
from data_prep.format.records import Annotation
from data_prep.format.rle import coco_object
from data_prep.storage.errors import DataError
from maskx_model.annotate.calibration import Calibration, certainty, fit_calibration
from maskx_model.annotate.class_names import class_finder
from maskx_model.annotate.segment import clipped
from maskx_model.inference.segmenter import Segmenter

logger = logging.getLogger(__name__)

IMAGES = 500
"""More images change the line by less than its own error."""


def calibrate(segmenter: Segmenter, uri: str) -> Calibration:
    """Segment the boxes of objects with masks in the dataset's split `val` (`train`, where it has no other), and fit
    certainty to the IoU with their masks. Classes are those with masks in training, A: of them the masks are known.

    Raises DataError where there are fewer than 50 such masks.
    """
    data = Dataset.open(uri)
    found: list[tuple[float, float]] = []
    for row, source in tqdm(list(itertools.islice(_images(data), IMAGES)), "calibrate", unit="image"):
        found += _measured(segmenter, data, row, source)
    try:
        calibration = fit_calibration([sure for sure, _ in found], [iou for _, iou in found])
    except DataError as error:
        raise DataError(f"{uri}: {error}") from None
    correlation = float(np.corrcoef(np.array(found).T)[0, 1])
    logger.info("calibrated on %d masks: certainty and IoU correlate by %.2f", len(found), correlation)
    return calibration


def _images(data: Dataset) -> Iterator[tuple[IndexRow, str]]:
    masked = {name for c in data.vocabulary.classes for name, own in c.sources.items() if own.masks}
    split = "val" if any(row.split == "val" for row in data.rows) else "train"
    for row in data.rows:
        if row.split == split:
            yield from ((row, source) for source in sorted(masked & row.ids.keys()))


def _measured(segmenter: Segmenter, data: Dataset, row: IndexRow, source: str) -> list[tuple[float, float]]:
    """Certainty and IoU of each object of A with a mask."""
    find, index = class_finder(segmenter.vocabulary), data.vocabulary.index(source)
    pixels, record = data.read_both(row)
    objects: list[tuple[int, Annotation]] = []
    for a in record.objects.get(source, ()):
        synset = data.vocabulary.classes[index[a.category]].synset if a.category in index else None
        label = find(a.category, synset)
        if a.mask is not None and a.provenance is None and not a.iscrowd and label in segmenter.mask_classes:
            objects.append((label, a))
    if not objects:
        return []
    boxes, inside = clipped(np.array([a.bbox for _, a in objects]), record.width, record.height)
    labels = np.array([label for label, _ in objects], np.int64)
    masks, probabilities = segmenter.segment_given(pixels, boxes[inside], labels[inside])
    known = [a.mask for (_, a), used in zip(objects, inside, strict=True) if used and a.mask is not None]
    ious = [
        coco_mask.iou([coco_object(made)], [coco_object(true)], [0])[0, 0]
        for made, true in zip(masks, known, strict=True)
    ]
    return list(zip(certainty(probabilities), map(float, ious), strict=True))
