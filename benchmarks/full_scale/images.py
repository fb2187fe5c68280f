"""Which images there are: ids, sizes, and which of Visual Genome's are COCO's, as columns."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

COCO_TRAIN, COCO_VAL, COCO_LAST_ID = 118_287, 5_000, 581_929
VG_IMAGES, VG_LAST_ID = 108_077, 2_417_997
# Visual Genome's images that name a COCO image, and as many more as have its Flickr id alone.
VG_WITH_COCO_ID, VG_WITH_FLICKR_ID_ONLY = 51_500, 500

Ints = npt.NDArray[np.int64]

# Width and height of an image, and how many in a hundred have it.
_SIZES = ((640, 480, 42), (640, 427, 24), (480, 640, 14), (427, 640, 8), (500, 375, 5), (640, 360, 4), (612, 612, 3))


@dataclass(frozen=True)
class CocoImages:
    """COCO's images by ascending id, int64[N] each; `val` is bool[N]."""

    id: Ints
    width: Ints
    height: Ints
    flickr_id: Ints
    val: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class VisualGenomeImages:
    """Visual Genome's images by ascending id, int64[N] each; 0 for an unknown id.

    `folder` is 0 for `VG_100K/`, 1 for `VG_100K_2/`.
    """

    id: Ints
    width: Ints
    height: Ints
    coco_id: Ints
    flickr_id: Ints
    folder: Ints


def coco_images(fraction: float, rng: np.random.Generator) -> CocoImages:
    """So many of COCO's images, split as COCO is."""
    train, val = round(COCO_TRAIN * fraction), round(COCO_VAL * fraction)
    width, height = _sizes(train + val, rng)
    return CocoImages(
        id=_ids(train + val, round(COCO_LAST_ID * max(fraction, 1)), rng),
        width=width,
        height=height,
        flickr_id=rng.permutation(_ids(train + val, 9_999_999_999, rng)),
        val=rng.permutation(np.arange(train + val) < val),
    )


def visual_genome_images(fraction: float, coco: CocoImages, rng: np.random.Generator) -> VisualGenomeImages:
    """So many of Visual Genome's images; nearly half are COCO's, most in another size."""
    count = round(VG_IMAGES * fraction)
    named, flickr_only = round(VG_WITH_COCO_ID * fraction), round(VG_WITH_FLICKR_ID_ONLY * fraction)
    places = rng.permutation(count)[: named + flickr_only]
    copied = rng.permutation(len(coco.id))[: len(places)]
    copied[1:named:1000] = copied[0:named:1000][: len(copied[1:named:1000])]  # two copies of one image
    width, height = _sizes(count, rng)
    width[places], height[places] = _resized(coco.width[copied], coco.height[copied], rng)
    coco_id, flickr_id = np.zeros(count, np.int64), np.zeros(count, np.int64)
    coco_id[places[:named]] = coco.id[copied[:named]]
    flickr_id[places] = coco.flickr_id[copied]
    flickr_id[places[: named // 20]] = 0
    return VisualGenomeImages(
        id=_ids(count, round(VG_LAST_ID * max(fraction, 1)), rng),
        width=width,
        height=height,
        coco_id=coco_id,
        flickr_id=flickr_id,
        folder=rng.integers(0, 2, count),
    )


def _ids(count: int, last: int, rng: np.random.Generator) -> Ints:
    """So many different ids from 1 to `last`, ascending; a few draws too many, so that none comes twice."""
    drawn = np.unique(rng.integers(1, last + 1, count + count // 2 + 10))
    return np.sort(rng.permutation(drawn)[:count])


def _sizes(count: int, rng: np.random.Generator) -> tuple[Ints, Ints]:
    sizes = np.array(_SIZES)
    chosen = sizes[rng.choice(len(sizes), count, p=sizes[:, 2] / 100)]
    return chosen[:, 0].copy(), chosen[:, 1].copy()


def _resized(width: Ints, height: Ints, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """The long edge at 500 or 800 pixels, as Visual Genome's copies have it; one in two hundred in another shape."""
    scale = rng.choice([500, 800], len(width)) / np.maximum(width, height)
    other_shape = np.where(rng.random(len(width)) < 0.005, 0.8, 1.0)
    resized_width, resized_height = np.rint(width * scale), np.rint(height * scale * other_shape)
    return resized_width.astype(np.int64), resized_height.astype(np.int64)
