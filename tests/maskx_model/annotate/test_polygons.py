"""Polygons of masks: the same pixels without a tolerance, nearly the same with one."""

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import tyro
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from data_prep.format.rle import decode_mask, encode_bitmap, encode_polygons
from data_prep.storage.errors import ConfigError
from maskx_model.annotate.polygons import mask_polygons
from maskx_model.cli.annotate import MaskFileOptions
from tests.maskx_model.synthetic import ellipse

Bitmap = npt.NDArray[np.bool_]
bitmaps = st.tuples(st.integers(1, 12), st.integers(1, 12)).flatmap(lambda shape: arrays(np.bool_, shape))


def without_holes(bitmap: Bitmap) -> Bitmap:
    """The bitmap with everything filled that its background, seen from outside, does not reach."""
    framed = np.pad(bitmap, 1).astype(np.uint8)
    cv2.floodFill(framed, None, (0, 0), 2)
    filled: Bitmap = (framed != 2)[1:-1, 1:-1]
    return filled


@given(bitmaps)
def test_without_a_tolerance_polygons_cover_the_masks_pixels(bitmap: Bitmap) -> None:
    filled = without_holes(bitmap)
    polygons = mask_polygons(encode_bitmap(bitmap), 0)
    if not bitmap.any():
        assert polygons == []
        return
    height, width = bitmap.shape
    assert np.array_equal(decode_mask(encode_polygons(polygons, (height, width))), filled)


@pytest.mark.parametrize(("tolerance", "corners", "least_iou"), [(1.0, 35, 0.97), (2.0, 20, 0.94), (3.0, 16, 0.9)])
def test_a_tolerance_leaves_few_corners(tolerance: float, corners: int, least_iou: float) -> None:
    mask = ellipse(np.array([20.0, 10.0, 130.0, 90.0]))
    (polygon,) = mask_polygons(mask, tolerance)
    assert 3 <= len(polygon) / 2 <= corners
    drawn, true = decode_mask(encode_polygons([polygon], mask.size)), decode_mask(mask)
    assert (drawn & true).sum() / (drawn | true).sum() >= least_iou


@pytest.mark.parametrize(
    ("words", "pixels"),
    [("", None), ("--polygons", 1.0), ("--polygons --tolerance 3", 3.0), ("--polygons --tolerance 0", 0.0)],
)
def test_the_options_say_how_far_polygons_may_be_from_the_outline(words: str, pixels: float | None) -> None:
    assert tyro.cli(MaskFileOptions, args=words.split()).pixels == pixels


def test_a_tolerance_of_run_lengths_is_refused() -> None:
    with pytest.raises(ConfigError, match="--tolerance: is that of polygons; add --polygons"):
        _ = tyro.cli(MaskFileOptions, args=["--tolerance", "2"]).pixels


def test_a_tiny_mask_keeps_an_outline_whatever_the_tolerance() -> None:
    bitmap = np.zeros((8, 8), np.bool_)
    bitmap[3, 4] = True
    assert mask_polygons(encode_bitmap(bitmap), 5.0) == [[4, 3, 4, 4, 5, 4, 5, 3]]
