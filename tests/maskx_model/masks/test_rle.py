"""Run lengths without a bitmap: what pycocotools makes of the bitmap, for every mask."""

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from pycocotools import mask as rle_codec

from data_prep.format.records import Rle
from maskx_model.masks.rle import encode_edges, mask_edges, mirrored_mask
from tests.maskx_model.samples import bitmap, rle

BITMAPS = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=40))
Bitmap = npt.NDArray[np.bool_]


@given(BITMAPS)
def test_edges_are_where_the_columns_change(drawn: Bitmap) -> None:
    padded = np.concatenate([[False], drawn.ravel(order="F"), [False]])
    assert np.array_equal(mask_edges(rle(drawn)), np.flatnonzero(padded[1:] != padded[:-1]))


@given(BITMAPS)
def test_edges_encode_to_what_pycocotools_writes(drawn: Bitmap) -> None:
    assert encode_edges(mask_edges(rle(drawn)), rle(drawn).size) == rle(drawn)


@given(BITMAPS)
def test_the_mirror_is_that_of_the_bitmap(drawn: Bitmap) -> None:
    assert mirrored_mask(rle(drawn)) == rle(drawn[:, ::-1])


@given(st.lists(st.sampled_from([0, 0, 1, 2, 9, 1000, 40_000]), min_size=1, max_size=30))
def test_any_run_lengths_are_read_empty_ones_among_them(counts: list[int]) -> None:
    """Annotators' files have runs of nothing, which no encoder would write."""
    size = (sum(counts) + 1, 1)
    written = rle_codec.frPyObjects({"size": list(size), "counts": [*counts, 1]}, *size)
    mask = Rle(size, written["counts"].decode())
    assert encode_edges(mask_edges(mask), size) == rle(bitmap(mask))
    assert mirrored_mask(mask) == rle(bitmap(mask))  # a single column


def test_a_whole_images_mask_is_one_run() -> None:
    full, empty = rle(np.ones((800, 1333), bool)), rle(np.zeros((800, 1333), bool))
    assert mask_edges(full).tolist() == [0, 800 * 1333] and mask_edges(empty).tolist() == []
    assert mirrored_mask(full) == full and mirrored_mask(empty) == empty
