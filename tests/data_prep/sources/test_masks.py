"""Masks are the ones that COCO's evaluator would make, and anything else is rejected before it can do harm."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from data_prep.format.records import Rle
from data_prep.format.rle import mask_area
from data_prep.sources.masks import RawRle, Segmentation, to_rle
from data_prep.sources.reasons import BrokenError

HEIGHT, WIDTH = 20, 30


def polygons(coordinates: st.SearchStrategy[float], most: int = 3) -> st.SearchStrategy[list[list[float]]]:
    points = st.lists(coordinates, min_size=6, max_size=16).map(lambda xs: xs[: len(xs) // 2 * 2])
    return st.lists(points, min_size=1, max_size=most)


def evaluators(polygons: list[list[float]], size: tuple[int, int]) -> Rle:
    reference = COCO()
    reference.imgs = {1: dict(zip(("height", "width"), size, strict=True))}
    return Rle(size, reference.annToRLE({"image_id": 1, "segmentation": polygons})["counts"].decode())


@given(polygons(st.floats(-5, 35, width=32)))
def test_polygons_become_the_evaluators_mask(drawn: list[list[float]]) -> None:
    assert to_rle(drawn, (HEIGHT, WIDTH)) == evaluators(drawn, (HEIGHT, WIDTH))


# Corners on pixels, on their edges, and between: where outlines meet, touch the border, or run along a column.
@given(
    st.integers(1, 60),
    st.integers(1, 60),
    polygons(st.floats(0, 60) | st.integers(0, 60).map(float) | st.integers(0, 600).map(lambda x: x / 10), most=40),
)
@settings(max_examples=300)
def test_polygons_of_any_corners_become_the_evaluators_masks(height: int, width: int, drawn: list[list[float]]) -> None:
    inside = [polygon for polygon in drawn if max(polygon) <= 2 * max(height, width)]
    objects = [inside[number : number + number % 4 + 1] for number in range(len(inside))]
    found = [to_rle(polygons, (height, width)) for polygons in objects]
    assert found == [evaluators(polygons, (height, width)) for polygons in objects]


@given(st.binary(min_size=HEIGHT * WIDTH // 8, max_size=HEIGHT * WIDTH // 8))
def test_run_lengths_of_both_kinds_become_the_same_mask(bits: bytes) -> None:
    pixels = np.unpackbits(np.frombuffer(bits, np.uint8)).reshape(HEIGHT, WIDTH)
    compressed = coco_mask.encode(np.asfortranarray(pixels))["counts"].decode()
    changes = np.flatnonzero(np.diff(np.concatenate([[0], pixels.ravel(order="F")])))
    counts = np.diff(np.concatenate([[0], changes, [pixels.size]])).tolist()
    expected = Rle((HEIGHT, WIDTH), compressed)
    assert to_rle(RawRle((HEIGHT, WIDTH), counts), (HEIGHT, WIDTH)) == expected
    assert to_rle(RawRle((HEIGHT, WIDTH), compressed), (HEIGHT, WIDTH)) == expected
    assert mask_area(expected) == pixels.sum()


@pytest.mark.parametrize("nothing", [None, []])
def test_no_segmentation_is_no_mask(nothing: Segmentation) -> None:
    assert to_rle(nothing, (HEIGHT, WIDTH)) is None


@pytest.mark.parametrize(
    "broken",
    [
        [[1.0, 2.0, 3.0, 4.0]],
        [[]],
        [[1.0] * 7],
        [[0.0, 0.0, 1e30, 0.0, 0.0, 5.0]],
        RawRle((WIDTH, HEIGHT), [HEIGHT * WIDTH]),
        RawRle((HEIGHT, WIDTH), [5, 5]),
        RawRle((HEIGHT, WIDTH), [-5, HEIGHT * WIDTH + 5]),
        RawRle((HEIGHT, WIDTH), []),
        RawRle((HEIGHT, WIDTH), ""),
        RawRle((HEIGHT, WIDTH), "nonsense ~"),
        RawRle((HEIGHT, WIDTH), "o"),
        RawRle((HEIGHT, WIDTH), "é"),
        RawRle((HEIGHT, WIDTH), 40 * "oooooooooooo7"),  # each alone would overflow
    ],
)
def test_what_is_no_mask_of_the_image_is_rejected(broken: Segmentation) -> None:
    with pytest.raises(BrokenError) as caught:
        to_rle(broken, (HEIGHT, WIDTH))
    assert caught.value.reason == "bad_mask"


@given(st.text(max_size=30))
def test_any_text_for_run_lengths_is_a_mask_of_that_size_or_rejected(text: str) -> None:
    try:
        mask = to_rle(RawRle((HEIGHT, WIDTH), text), (HEIGHT, WIDTH))
    except BrokenError:
        return
    assert mask is not None
    assert coco_mask.decode({"size": [HEIGHT, WIDTH], "counts": mask.counts.encode()}).shape == (HEIGHT, WIDTH)
