"""An id is one number, however a file writes it."""

import json

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from data_prep.sources.coco_annotations import annotation_image_id
from data_prep.sources.coercions import LARGEST_ID, to_id


@given(st.integers(0, LARGEST_ID))
def test_an_id_is_the_same_however_it_is_written(number: int) -> None:
    assert to_id("id", number) == to_id("id", str(number)) == to_id("id", f" {number}.0 ") == number


@given(st.integers(-(10**6), -1) | st.integers(LARGEST_ID + 1, 2**60))
def test_a_number_that_is_no_id_is_mapped_to_the_same_however_it_is_written(number: int) -> None:
    assert to_id("id", number) == to_id("id", str(number)) == to_id("id", f"{number}.0")
    assert 0 <= to_id("id", number) <= LARGEST_ID


@given(st.text(min_size=1))
def test_a_name_as_an_id_is_the_same_for_the_image_and_its_annotations(name: str) -> None:
    assert annotation_image_id(msgspec.Raw(json.dumps({"image_id": name}).encode())) == to_id("id", name)
    assert 0 <= to_id("id", name) <= LARGEST_ID
