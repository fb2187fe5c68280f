"""`instances_train2017.json` and `instances_val2017.json`: polygons as long as COCO's, and crowds as run lengths."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.full_scale.images import CocoImages, Ints
from data_prep.prepare.vocabulary import read_synset_table
from data_prep.sources.categories import Category

ANNOTATIONS_PER_IMAGE = 860_000 / 123_287
# Annotations that are drawn and written at a time.
_CHUNK = 20_000
_BROKEN = 5_000  # one annotation in this many has no width

_IMAGE = (
    '{"license": %d, "file_name": "%012d.jpg", "coco_url": "http://coco.invalid/%s/%012d.jpg", "height": %d, '
    '"width": %d, "date_captured": "2013-11-14 17:02:52", '
    '"flickr_url": "http://farm%d.staticflickr.invalid/%d/%d_0123456789_z.jpg", "id": %d}'
)
_ANNOTATION = (
    '{"segmentation": %s, "area": %s, "iscrowd": %d, "image_id": %d, "bbox": [%s, %s, %s, %s], '
    '"category_id": %d, "id": %d}'
)
_LICENSE = '{"url": "http://creativecommons.invalid/licenses/%d/", "id": %d, "name": "Licence %d"}'
_CATEGORY = '{"supercategory": "thing", "id": %d, "name": "%s"}'

# Every coordinate is a whole number of hundredths of a pixel; its text is looked up.
_TEXTS = [str(number / 100) for number in range(100_001)]

Floats = npt.NDArray[np.float64]


def categories() -> list[Category]:
    """COCO's eighty classes in their order, with ids that leave gaps as COCO's do."""
    return [Category(number + number // 9, name) for number, name in enumerate(read_synset_table(None), start=1)]


def write_coco(path: Path, images: CocoImages, split: str, rng: np.random.Generator) -> int:
    """Write a split's file; returns the number of annotations."""
    chosen = np.flatnonzero(images.val == (split == "val"))
    counts = rng.geometric(1 / (ANNOTATIONS_PER_IMAGE + 0.93), len(chosen)) - (rng.random(len(chosen)) < 0.93)
    owners = rng.permutation(np.repeat(chosen, counts))
    with path.open("w") as file:
        file.write('{"info": {"description": "made up"}, "licenses": [')
        file.write(", ".join(_LICENSE % (number, number, number) for number in range(1, 9)))
        file.write('], "images": [' + ", ".join(_images(images, chosen, split)) + '], "annotations": [')
        for start in range(0, len(owners), _CHUNK):
            part = owners[start : start + _CHUNK]
            file.write((", " if start else "") + ", ".join(_annotations(images, part, start + 1, rng)))
        listed = ", ".join(_CATEGORY % (category.id, category.name) for category in categories())
        file.write('], "categories": [' + listed + "]}")
    return len(owners)


def _images(images: CocoImages, chosen: Ints, split: str) -> list[str]:
    columns = [c[chosen].tolist() for c in (images.id, images.width, images.height, images.flickr_id)]
    return [
        _IMAGE % (1 + number % 8, number, split, number, height, width, 1 + number % 9, number % 9999, flickr, number)
        for number, width, height, flickr in zip(*columns, strict=True)
    ]


def _annotations(images: CocoImages, owners: Ints, first: int, rng: np.random.Generator) -> list[str]:
    """The JSON of a chunk's annotations, ids counted from `first`."""
    count = len(owners)
    width, height = images.width[owners], images.height[owners]
    share = rng.lognormal(-2.2, 1.0, (2, count)).clip(0.01, 1)
    w, h = np.maximum(width * share[0], 5), np.maximum(height * share[1], 5)
    x, y = rng.random((2, count)) * (width - w, height - h)
    segmentations, box, area = _outlines(x, y, w, h, rng)
    crowds = rng.random(count) < 0.01
    for position in np.flatnonzero(crowds).tolist():
        place = (int(x[position]), int(y[position]), int(w[position]), int(h[position]))
        segmentations[position], area[position] = _crowd(*place, int(width[position]), int(height[position]), rng)
    box[2, np.arange(first, first + count) % _BROKEN == 0] = 0
    frequencies = 1 / (np.arange(80) + 1.2)
    chosen = rng.choice([category.id for category in categories()], count, p=frequencies / frequencies.sum())
    boxes = [[_TEXTS[number] for number in row] for row in np.rint(box * 100).astype(np.int64).tolist()]
    ids = images.id[owners].tolist()
    rows = zip(segmentations, area.tolist(), crowds.tolist(), ids, *boxes, chosen.tolist(), strict=True)
    return [_ANNOTATION % (*row, first + number) for number, row in enumerate(rows)]


def _outlines(x: Floats, y: Floats, w: Floats, h: Floats, rng: np.random.Generator) -> tuple[list[str], Floats, Floats]:
    """Ragged outlines in boxes float64[N] each: their JSON, the boxes around them float64[4, N] and areas float64[N].

    One in ten is in two pieces, the left and the right half of its box; the longer a box, the more points.
    """
    pieces = 1 + (rng.random(len(x)) < 0.1)
    owner = np.repeat(np.arange(len(x)), pieces)
    starts = np.cumsum(pieces) - pieces
    right = np.arange(len(owner)) - starts[owner]
    piece_w, piece_x = (w / pieces)[owner], x[owner] + right * (w / pieces)[owner]
    points = (6 + (w + h)[owner] / 9 * rng.lognormal(0, 0.4, len(owner)) / pieces[owner]).clip(4, 250).astype(np.int64)
    of = np.repeat(np.arange(len(owner)), points)
    begin = np.cumsum(points) - points
    angle = 2 * np.pi * (np.arange(len(of)) - begin[of] + 0.8 * rng.random(len(of))) / points[of]
    radius = 0.5 - 0.15 * rng.random(len(of))
    px = np.rint(100 * (piece_x[of] + piece_w[of] * (0.5 + radius * np.cos(angle))))
    py = np.rint(100 * (y[owner][of] + h[owner][of] * (0.5 + radius * np.sin(angle))))
    texts = list(map(_TEXTS.__getitem__, np.stack([px, py], 1).astype(np.int64).ravel().tolist()))
    ends = (2 * (begin + points)).tolist()
    polygons = ["[" + ", ".join(texts[a:b]) + "]" for a, b in zip([0, *ends[:-1]], ends, strict=True)]
    bounds = [*starts.tolist(), len(owner)]
    segmentations = ["[" + ", ".join(polygons[a:b]) + "]" for a, b in pairwise(bounds)]
    first_point = begin[starts]
    left, top = np.minimum.reduceat(px, first_point) / 100, np.minimum.reduceat(py, first_point) / 100
    wide, high = np.maximum.reduceat(px, first_point) / 100 - left, np.maximum.reduceat(py, first_point) / 100 - top
    after = np.where(np.arange(len(of)) + 1 == (begin + points)[of], begin[of], np.arange(len(of)) + 1)
    cross = (px * py[after] - px[after] * py) / 20_000
    area = np.abs(np.add.reduceat(cross, first_point)) + rng.random(len(x)) * 1e-4
    return segmentations, np.stack([left, top, wide, high]), area


def _crowd(x: int, y: int, w: int, h: int, width: int, height: int, rng: np.random.Generator) -> tuple[str, int]:
    """Uncompressed run lengths of a region with a ragged upper edge, column by column, and its area."""
    tops = y + rng.integers(0, max(h // 3, 1), w)
    gaps = tops + np.concatenate([[x * height], np.full(w - 1, height - y - h)])
    runs = np.stack([gaps, y + h - tops], 1).ravel().tolist()
    counts = ", ".join(map(str, [*runs, width * height - sum(runs)]))
    return f'{{"counts": [{counts}], "size": [{height}, {width}]}}', sum(runs[1::2])
