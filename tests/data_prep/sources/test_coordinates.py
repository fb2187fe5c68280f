"""Boxes as columns come out as each by itself, to the bit; and so do whole records."""

import json
import struct
from typing import Any

import msgspec
import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from data_prep.format.records import Annotation
from data_prep.sources.coordinates import Frame, clip_all, rounded
from data_prep.sources.objects import Item, Objects
from data_prep.sources.reasons import BrokenError
from data_prep.sources.visual_genome_objects import object_annotation, take
from tests.data_prep.small_sources import vg_object

SYNSETS = {"tree": "tree.n.01", "oak": "tree.n.01"}
coordinates = st.integers(-50, 700) | st.floats(-50, 700) | st.decimals(-5, 700, places=3).map(float)
frames = st.builds(
    lambda w, h, of_w, of_h: Frame(w, h, w / of_w, h / of_h), *[st.integers(1, 640)] * 2, *[st.integers(1, 800)] * 2
)
boxes = st.tuples(*[coordinates] * 4)


def bits(numbers: Any) -> bytes:
    return struct.pack(f"{len(numbers)}d", *numbers)


@given(st.lists(st.floats(-1e6, 1e6) | st.integers(-(10**8), 10**8).map(lambda n: n / 1000), min_size=1))
@example([0.005, 2.675, 1.005, -0.001, -2.5, 0.285, 999999.995])
def test_columns_are_rounded_as_single_numbers_are(numbers: list[float]) -> None:
    assert bits(rounded(np.array(numbers)).tolist()) == bits([round(number, 2) for number in numbers])


@given(st.lists(st.tuples(frames, st.lists(boxes, max_size=4)), min_size=1, max_size=4))
def test_columns_are_clipped_as_single_boxes_are(placed: list[tuple[Frame, list[tuple[float, ...]]]]) -> None:
    single = [(frame, box) for frame, listed in placed for box in listed]
    columns = np.array([box for _, box in single], np.float64).reshape(-1, 4)
    found = clip_all(columns, [frame for frame, _ in placed], [len(listed) for _, listed in placed])
    for (frame, box), row, clipped, sure in zip(single, found.boxes.tolist(), found.clipped, found.sure, strict=True):
        try:
            expected = frame.clip(*box) if min(box[2:]) > 0 else None
        except BrokenError:
            expected = None
        assert bool(sure) == (expected is not None)
        if expected:
            assert bits(row) == bits([*expected[0], round(expected[0][2] * expected[0][3], 2)])
            assert bool(clipped) == expected[1]


troubles: list[dict[str, Any]] = [
    {},
    {"x": 3.3, "w": 1.115},
    {"x": -4, "w": 300},
    {"w": 0},
    {"x": 5000},
    {"x": 1e300},
    {"x": "a"},
    {"synsets": []},
    {"synsets": [""]},
    {"synsets": ["", "oak.n.01"]},
    {"synsets": ["a", "b"]},
    {"synsets": None},
    {"synsets": None, "names": ["Oak "]},
    {"object_id": None, "id": 12},
    {"object_id": -3},
]


@given(
    st.lists(
        st.tuples(frames, st.lists(st.sampled_from(troubles[:6]) | st.sampled_from(troubles), max_size=5)), max_size=5
    )
)
def test_records_together_give_what_each_object_gives(placed: list[tuple[Frame, list[dict[str, Any]]]]) -> None:
    items = []
    for number, (frame, listed) in enumerate(placed):
        record = {"image_id": number, "objects": [vg_object(7, **fields) for fields in listed]}
        items.append(Item(json.dumps(record).encode(), number, frame, Objects()))
    take(items, SYNSETS)
    for item, (frame, listed) in zip(items, placed, strict=True):
        taken: list[Annotation] = []
        told: list[str] = []
        for fields in listed:
            data = json.dumps(vg_object(7, **fields)).encode()
            try:
                one = object_annotation(msgspec.Raw(data), frame, SYNSETS)
            except BrokenError as error:
                told.append(f"{error.reason} {error.seen} {data!r}")
                continue
            if isinstance(one, str):
                told.append(one)
            else:
                taken.append(one[0])
        assert msgspec.json.encode(item.into.annotations) == msgspec.json.encode(taken)
        broken = [f"{b.reason} {b.seen} {b.data!r}" for b in item.into.rejected]
        assert sorted(item.into.left_out + broken) == sorted(told)
        assert item.into.count == len(listed)
