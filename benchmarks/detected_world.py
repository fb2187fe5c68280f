"""Generated images with objects of thousands of classes and what a mediocre model would find: no pixels, only
annotations and detections. Classes occur as in natural data, a few often and most rarely."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask

from data_prep.format.records import Annotation, Rle
from maskx_model.evaluation.ground_truth import GroundTruth
from maskx_model.results.instances import Instances

HEIGHT, WIDTH = 480, 640
SHAPES, LOOKS = 3000, 4
"""Ellipses to choose from; of each the true one and three that are nearly right."""
CORNERS = 24
CROWDS = 0.01
RIGHT_CLASS = 0.7


@dataclass(frozen=True)
class Shapes:
    """Boxes xyxy float64 [LOOKS, SHAPES, 4], their ellipses as compressed run lengths, and the true ones' areas."""

    boxes: npt.NDArray[np.float64]
    counts: list[list[bytes]]
    areas: list[float]

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Shapes":
        size = np.exp(rng.uniform(np.log(10), np.log(300), (SHAPES, 2)))
        corner = rng.uniform(0, 1, (SHAPES, 2)) * (np.array([WIDTH, HEIGHT]) - size)
        true = np.concatenate([corner, corner + size], axis=1)
        nearly = true + rng.normal(0, 0.06, (LOOKS - 1, SHAPES, 4)) * np.tile(size, 2)
        boxes = np.concatenate([true[None], nearly]).clip(0, [WIDTH, HEIGHT, WIDTH, HEIGHT])
        boxes[..., 2:] = np.maximum(boxes[..., 2:], boxes[..., :2] + 2)
        masks = [[_ellipse(box) for box in look] for look in boxes]
        areas = [float(coco_mask.area(mask)) for mask in masks[0]]
        return cls(boxes, [[mask["counts"] for mask in look] for look in masks], areas)

    def mask(self, look: int, shape: int) -> Rle:
        """A string of its own each time, as in real data."""
        return Rle((HEIGHT, WIDTH), self.counts[look][shape].decode())


def _ellipse(box: npt.NDArray[np.float64]) -> dict[str, bytes]:
    angle = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    corners = (box[:2] + box[2:]) / 2 + (box[2:] - box[:2]) / 2 * circle
    mask: dict[str, bytes] = coco_mask.frPyObjects([corners.ravel().tolist()], HEIGHT, WIDTH)[0]
    return mask


def detected_world(
    images: int, classes: int, detections: int, objects: float, seed: int = 0
) -> tuple[list[GroundTruth], list[Instances]]:
    """`objects` of each image on average, `detections` in each exactly: at most two near each object, the rest
    anywhere. Masks are whole; scores have three digits, so that some are equal."""
    rng = np.random.default_rng(seed)
    shapes = Shapes.draw(rng)
    frequency = 1 / np.arange(1, classes + 1) ** 0.8
    frequency /= frequency.sum()
    ground_truth: list[GroundTruth] = []
    detected: list[Instances] = []
    for image_id in range(1, images + 1):
        count = int(rng.poisson(objects))
        labels, shape = rng.choice(classes, count, p=frequency), rng.integers(0, SHAPES, count)
        things = tuple(_object(shapes, rng, int(number)) for number in shape)
        ground_truth.append(GroundTruth(image_id, HEIGHT, WIDTH, tuple(labels.tolist()), things))
        near = min(2 * count, detections)
        guess = rng.choice(classes, detections, p=frequency)
        guess[:near] = np.where(rng.random(near) < RIGHT_CLASS, np.tile(labels, 2)[:near], guess[:near])
        shapes_of = np.concatenate([np.tile(shape, 2)[:near], rng.integers(0, SHAPES, detections - near)])
        detected.append(_instances(shapes, rng, guess, shapes_of, near))
    return ground_truth, detected


def _object(shapes: Shapes, rng: np.random.Generator, shape: int) -> Annotation:
    x1, y1, x2, y2 = shapes.boxes[0, shape].round(2).tolist()
    crowd = int(rng.random() < CROWDS)
    return Annotation(1, "", (x1, y1, x2 - x1, y2 - y1), shapes.areas[shape], crowd, shapes.mask(0, shape))


def _instances(
    shapes: Shapes, rng: np.random.Generator, labels: npt.NDArray[np.int64], shape: npt.NDArray[np.int64], near: int
) -> Instances:
    look = rng.integers(1, LOOKS, len(labels))
    scores = np.concatenate([rng.beta(3, 2, near), rng.beta(1, 4, len(labels) - near)]).round(3).astype(np.float32)
    order = np.argsort(-scores, kind="stable")
    boxes = shapes.boxes[look, shape].astype(np.float32)[order]
    masks = [shapes.mask(int(look[i]), int(shape[i])) for i in order]
    return Instances(boxes, labels[order], scores[order], masks)
