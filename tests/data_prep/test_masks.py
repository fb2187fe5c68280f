"""Masks are the ones that COCO's evaluator would make, and what is no mask is rejected before it can do harm."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from data_prep.format.records import Rle
from data_prep.reasons import BrokenError
from data_prep.sources.masks import RawRle, Segmentation, mask_area, to_rle

HEIGHT, WIDTH = 20, 30
points = st.lists(st.floats(-5, 35, width=32), min_size=6, max_size=16).map(lambda xs: xs[: len(xs) // 2 * 2])


@given(st.lists(points, min_size=1, max_size=3))
def test_polygons_become_the_evaluators_mask(polygons: list[list[float]]) -> None:
    reference = COCO()
    reference.imgs = {1: {"height": HEIGHT, "width": WIDTH}}
    expected = reference.annToRLE({"image_id": 1, "segmentation": polygons})
    assert to_rle(polygons, HEIGHT, WIDTH) == Rle((HEIGHT, WIDTH), expected["counts"].decode())


@given(st.binary(min_size=HEIGHT * WIDTH // 8, max_size=HEIGHT * WIDTH // 8))
def test_run_lengths_of_both_kinds_become_the_same_mask(bits: bytes) -> None:
    pixels = np.unpackbits(np.frombuffer(bits, np.uint8)).reshape(HEIGHT, WIDTH)
    compressed = coco_mask.encode(np.asfortranarray(pixels))["counts"].decode()
    changes = np.flatnonzero(np.diff(np.concatenate([[0], pixels.ravel(order="F")])))
    counts = np.diff(np.concatenate([[0], changes, [pixels.size]])).tolist()
    expected = Rle((HEIGHT, WIDTH), compressed)
    assert to_rle(RawRle((HEIGHT, WIDTH), counts), HEIGHT, WIDTH) == expected
    assert to_rle(RawRle((HEIGHT, WIDTH), compressed), HEIGHT, WIDTH) == expected
    assert mask_area(expected) == pixels.sum()


@pytest.mark.parametrize("nothing", [None, []])
def test_no_segmentation_is_no_mask(nothing: Segmentation) -> None:
    assert to_rle(nothing, HEIGHT, WIDTH) is None


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
    ],
)
def test_what_is_no_mask_of_the_photograph_is_rejected(broken: Segmentation) -> None:
    with pytest.raises(BrokenError) as caught:
        to_rle(broken, HEIGHT, WIDTH)
    assert caught.value.reason == "bad_mask"


@given(st.text(max_size=30))
def test_any_text_for_run_lengths_is_a_mask_of_that_size_or_rejected(text: str) -> None:
    try:
        mask = to_rle(RawRle((HEIGHT, WIDTH), text), HEIGHT, WIDTH)
    except BrokenError:
        return
    assert mask is not None
    assert coco_mask.decode({"size": [HEIGHT, WIDTH], "counts": mask.counts.encode()}).shape == (HEIGHT, WIDTH)
