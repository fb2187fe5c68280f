"""Images that were never taken: random objects, and detections that are right, nearly right, and wrong."""

import numpy as np
import numpy.typing as npt
from pycocotools import mask as rle_codec

from data_prep.format.records import Annotation, Record, Rle
from maskx_model.results.instances import Instances

HEIGHT, WIDTH = 120, 160


def ellipse(box: npt.NDArray[np.float64], height: int = HEIGHT, width: int = WIDTH) -> Rle:
    """The ellipse in a box (x1, y1, x2, y2), as a mask of the whole image."""
    y, x = np.mgrid[:height, :width] + 0.5
    x1, y1, x2, y2 = box
    inside = ((x - (x1 + x2) / 2) / (x2 - x1) * 2) ** 2 + ((y - (y1 + y2) / 2) / (y2 - y1) * 2) ** 2 <= 1
    encoded = rle_codec.encode(np.asfortranarray(inside, dtype=np.uint8))
    return Rle((height, width), encoded["counts"].decode())


def random_boxes(rng: np.random.Generator, count: int) -> npt.NDArray[np.float64]:
    """Boxes (x1, y1, x2, y2) of all of COCO's sizes."""
    size = np.exp(rng.uniform(np.log(8), np.log(115), (count, 2)))
    corner = rng.uniform(0, 1, (count, 2)) * np.maximum([WIDTH - 1, HEIGHT - 1] - size, 0)
    return np.concatenate([corner, np.minimum(corner + size, [WIDTH, HEIGHT])], axis=1)


def instances(
    boxes: npt.NDArray[np.float64], labels: npt.NDArray[np.int64], scores: npt.NDArray[np.float64]
) -> Instances:
    """Elliptic instances, sorted as the model sorts them."""
    order = np.argsort(-scores, kind="stable")
    masks = [ellipse(box) for box in boxes[order]]
    return Instances(boxes[order].astype(np.float32), labels[order], scores[order].astype(np.float32), masks)


def random_world(seed: int, images: int, names: list[str]) -> tuple[list[Record], list[Instances]]:
    """Records of the source `coco`, some with crowds, some empty; and what a mediocre model would find in them."""
    rng = np.random.default_rng(seed)
    records, found = [], []
    for number in range(images):
        boxes = random_boxes(rng, int(rng.integers(0, 6)))
        labels = rng.integers(0, len(names), len(boxes))
        objects = []
        for i, box in enumerate(boxes):
            mask = ellipse(box)
            area = float(rle_codec.area({"size": list(mask.size), "counts": mask.counts}))
            x1, y1, x2, y2 = box.round(2).tolist()
            crowd = int(rng.uniform() < 0.1)
            shape = (x1, y1, round(x2 - x1, 2), round(y2 - y1, 2))
            objects.append(Annotation(100 * number + i + 1, names[labels[i]], shape, area, crowd, mask))
        image_id = int(rng.integers(1, 10**6)) * 1000 + number
        records.append(Record(f"coco-{image_id:012d}", WIDTH, HEIGHT, {"coco": image_id}, {"coco": objects}))
        found.append(_mediocre(rng, boxes, labels, len(names)))
    return records, found


def _mediocre(
    rng: np.random.Generator, boxes: npt.NDArray[np.float64], labels: npt.NDArray[np.int64], classes: int
) -> Instances:
    near = np.repeat(boxes, 2, axis=0) + rng.normal(0, 3, (2 * len(boxes), 4))
    near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 2)
    guessed = np.where(rng.uniform(size=len(near)) < 0.8, np.repeat(labels, 2), rng.integers(0, classes, len(near)))
    wrong = random_boxes(rng, int(rng.integers(0, 5)))
    everything = np.concatenate([near, wrong])
    names = np.concatenate([guessed, rng.integers(0, classes, len(wrong))])
    return instances(everything, names.astype(np.int64), rng.choice(np.linspace(0.05, 1, 40), len(everything)))
