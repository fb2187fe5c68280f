"""The codec gives what pycocotools makes of the bitmap, for every mask."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from pycocotools import mask as coco_mask

from data_prep.format.records import Rle
from data_prep.format.rle import (
    check_mask,
    coco_object,
    decode_mask,
    encode_bitmap,
    encode_edges,
    encode_run_lengths,
    mask_area,
    mask_edges,
    mirror_mask,
    run_lengths,
)

BITMAPS = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=40))
Bitmap = npt.NDArray[np.bool_]


@given(BITMAPS)
def test_a_bitmap_is_encoded_as_pycocotools_does_and_decoded_again(drawn: Bitmap) -> None:
    mask = encode_bitmap(drawn)
    expected = coco_mask.encode(np.asfortranarray(drawn, np.uint8))
    assert coco_object(mask) == {"size": list(drawn.shape), "counts": expected["counts"].decode()}
    assert np.array_equal(decode_mask(mask), drawn)
    assert mask_area(mask) == drawn.sum()
    check_mask(mask)


@given(BITMAPS)
def test_run_lengths_are_those_of_the_columns(drawn: Bitmap) -> None:
    mask = encode_bitmap(drawn)
    lengths = run_lengths(mask)
    value = np.arange(len(lengths)) % 2 == 1
    assert np.array_equal(np.repeat(value, lengths), drawn.ravel(order="F"))
    assert encode_run_lengths(lengths.tolist(), mask.size) == mask


@given(BITMAPS)
def test_edges_are_where_the_columns_change(drawn: Bitmap) -> None:
    padded = np.concatenate([[False], drawn.ravel(order="F"), [False]])
    assert np.array_equal(mask_edges(encode_bitmap(drawn)), np.flatnonzero(padded[1:] != padded[:-1]))


@given(BITMAPS)
def test_edges_encode_to_what_pycocotools_writes(drawn: Bitmap) -> None:
    mask = encode_bitmap(drawn)
    assert encode_edges(mask_edges(mask), mask.size) == mask


@given(BITMAPS)
def test_the_mirrored_mask_is_that_of_the_mirrored_bitmap(drawn: Bitmap) -> None:
    assert mirror_mask(encode_bitmap(drawn)) == encode_bitmap(drawn[:, ::-1])


@given(st.lists(st.sampled_from([0, 0, 1, 2, 9, 1000, 40_000]), min_size=1, max_size=30))
def test_any_run_lengths_are_read_empty_ones_among_them(counts: list[int]) -> None:
    """Annotators' files have empty runs, which no encoder would write."""
    size = (sum(counts) + 1, 1)
    mask = encode_run_lengths([*counts, 1], size)
    check_mask(mask)
    assert run_lengths(mask).tolist() == [*counts, 1]
    assert encode_edges(mask_edges(mask), size) == encode_bitmap(decode_mask(mask))
    assert mirror_mask(mask) == encode_bitmap(decode_mask(mask))  # a single column


def test_a_whole_images_mask_is_one_run() -> None:
    full, empty = encode_bitmap(np.ones((800, 1333), bool)), encode_bitmap(np.zeros((800, 1333), bool))
    assert mask_edges(full).tolist() == [0, 800 * 1333] and mask_edges(empty).tolist() == []
    assert mirror_mask(full) == full and mirror_mask(empty) == empty


@pytest.mark.parametrize("counts", ["", "o", "nonsense ~", "é", "0", "=0", 40 * "oooooooooooo7"])
def test_a_string_that_is_no_mask_of_the_image_is_refused(counts: str) -> None:
    with pytest.raises(ValueError, match="run lengths"):
        check_mask(Rle((3, 4), counts))


@pytest.mark.parametrize("lengths", [[], [5], [13], [-1, 13], [2**64 - 1, 13], [2**63 + 6, 2**63 + 6]])
def test_run_lengths_of_another_size_are_refused(lengths: list[int]) -> None:
    with pytest.raises(ValueError, match="do not add up to 12 pixels"):
        encode_run_lengths(lengths, (3, 4))
