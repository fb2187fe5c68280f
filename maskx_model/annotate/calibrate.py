"""Learn what a model's certainty foretells, on objects of a prepared dataset whose masks people have drawn."""

import logging
from collections.abc import Mapping

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
"""More images with known masks change the line by less than its own error."""


def calibrate(segmenter: Segmenter, uri: str) -> Calibration:
    """Segment the boxes of objects with masks in the dataset's split `val` (`train`, where it has no other), and fit
    certainty to the IoU with their masks. Classes are those with masks in training, A: of them the masks are known.

    Raises DataError where there are fewer than 50 such masks.
    """
    data = Dataset.open(uri)
    split = "val" if data.rows.of_split("val") else "train"
    labels = _labels_of_a(segmenter, data)
    shown = {source: data.rows.of_split(split, source).showing(source, of_a) for source, of_a in labels.items()}
    images = sorted((position, source) for source, own in shown.items() for position in own.positions.tolist())
    with_masks = 0
    found: list[tuple[float, float]] = []
    for position, source in tqdm(images, "calibrate", unit="image"):
        measured = _measured(segmenter, data, data.rows[position], source, labels[source])
        found += measured
        with_masks += bool(measured)
        if with_masks == IMAGES:
            break
    try:
        calibration = fit_calibration([sure for sure, _ in found], [iou for _, iou in found])
    except DataError as error:
        raise DataError(f"{uri}: split {split}, {len(images)} images that show classes of A: {error}") from None
    correlation = float(np.corrcoef(np.array(found).T)[0, 1])
    logger.info("calibrated on %d masks: certainty and IoU correlate by %.2f", len(found), correlation)
    return calibration


def _labels_of_a(segmenter: Segmenter, data: Dataset) -> dict[str, dict[str, int]]:
    """Source → its names of classes that have masks in it and are of A → their labels in the model."""
    find = class_finder(segmenter.vocabulary)
    labels: dict[str, dict[str, int]] = {}
    for source in sorted({source for c in data.vocabulary.classes for source in c.sources}):
        for name, position in data.vocabulary.index(source).items():
            c = data.vocabulary.classes[position]
            label = find(name, c.synset)
            if c.sources[source].masks and label is not None and label in segmenter.mask_classes:
                labels.setdefault(source, {})[name] = label
    return labels


def _measured(
    segmenter: Segmenter, data: Dataset, row: IndexRow, source: str, labels_of_a: Mapping[str, int]
) -> list[tuple[float, float]]:
    """Certainty and IoU of each object of A with a mask."""
    record = data.read_record(row)
    objects: list[tuple[int, Annotation]] = []
    for a in record.objects.get(source, ()):
        label = labels_of_a.get(a.category)
        if label is not None and a.mask is not None and a.provenance is None and not a.iscrowd:
            objects.append((label, a))
    if not objects:
        return []
    boxes, inside = clipped(np.array([a.bbox for _, a in objects]), record.width, record.height)
    labels = np.array([label for label, _ in objects], np.int64)
    masks, probabilities = segmenter.segment_given(data.pixels(row), boxes[inside], labels[inside])
    known = [a.mask for (_, a), used in zip(objects, inside, strict=True) if used and a.mask is not None]
    ious = [
        coco_mask.iou([coco_object(made)], [coco_object(true)], [0])[0, 0]
        for made, true in zip(masks, known, strict=True)
    ]
    return list(zip(certainty(probabilities), map(float, ious), strict=True))
