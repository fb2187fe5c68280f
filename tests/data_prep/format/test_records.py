"""Records: what goes in comes out, to the last digit."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.format.records import KEY, Annotation, Record, Rle, decode_record, encode_record, image_key

numbers = st.floats(allow_nan=False, allow_infinity=False)
names = st.text(min_size=1, max_size=20)
masks = st.builds(Rle, size=st.tuples(st.integers(1, 999), st.integers(1, 999)), counts=st.text(max_size=30))
annotations = st.builds(
    Annotation,
    id=st.integers(0, 2**53),
    category=names,
    bbox=st.tuples(numbers, numbers, numbers, numbers),
    area=numbers,
    iscrowd=st.integers(0, 1),
    mask=st.none() | masks,
)
records = st.builds(
    Record,
    key=st.from_regex(KEY, fullmatch=True),
    width=st.integers(1, 10**5),
    height=st.integers(1, 10**5),
    ids=st.dictionaries(names, st.integers(0, 2**53)),
    objects=st.dictionaries(names, st.lists(annotations, max_size=3)),
    negative=st.dictionaries(names, st.lists(names, max_size=3), max_size=2),
    names=st.dictionaries(names, names, max_size=2),
    not_exhaustive=st.dictionaries(names, st.lists(names, max_size=3), max_size=2),
)


@given(records)
def test_a_record_comes_back_as_it_was_written(record: Record) -> None:
    assert decode_record(encode_record(record)) == record


@given(records)
def test_the_order_of_sources_does_not_change_the_bytes(record: Record) -> None:
    turned = msgspec.structs.replace(
        record, ids=dict(reversed(record.ids.items())), objects=dict(reversed(record.objects.items()))
    )
    assert encode_record(turned) == encode_record(record)


def test_an_object_without_a_mask_carries_no_trace_of_one() -> None:
    record = Record("coco-1", 2, 2, {"coco": 1}, {"coco": [Annotation(1, "cat", (0, 0, 1, 1), 1.0)]})
    assert b"mask" not in encode_record(record)
    assert b"iscrowd" not in encode_record(record)


def test_a_record_of_format_1_0_is_one_without_lists_of_classes() -> None:
    old = b'{"key":"coco-1","width":3,"height":2,"ids":{"coco":1},"objects":{"coco":[]}}'
    record = Record("coco-1", 3, 2, {"coco": 1}, {"coco": []})
    assert decode_record(old) == record
    assert encode_record(record) == old


def test_another_document_is_no_record() -> None:
    with pytest.raises(msgspec.ValidationError):
        decode_record(b'{"key": "coco-1"}')


@given(st.from_regex(r"[a-z0-9]+", fullmatch=True), st.integers(0, 2**53))
def test_keys_are_safe_names_without_a_dot(source: str, image_id: int) -> None:
    assert KEY.fullmatch(image_key(source, image_id))


def test_keys_look_as_the_design_says() -> None:
    assert image_key("coco", 216794) == "coco-000000216794"
    assert image_key("vg", 2300001) == "vg-0002300001"
