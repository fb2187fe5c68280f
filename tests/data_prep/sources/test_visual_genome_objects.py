"""A record's objects come out the same however the record is decoded."""

import json
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from data_prep.format.records import Annotation
from data_prep.sources.coordinates import CoordinateTransform
from data_prep.sources.objects import ImageObjects, RawRecord
from data_prep.sources.reasons import BrokenError
from data_prep.sources.visual_genome_objects import add_visual_genome_objects, object_annotation
from tests.data_prep.small_sources import vg_object

SYNSETS = {"tree": "tree.n.01", "oak": "tree.n.01"}
transforms = st.builds(
    lambda w, h, of_w, of_h: CoordinateTransform(w, h, w / of_w, h / of_h),
    *[st.integers(1, 640)] * 2,
    *[st.integers(1, 800)] * 2,
)


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


@given(transforms, st.lists(st.sampled_from(troubles[:6]) | st.sampled_from(troubles), max_size=5))
def test_a_record_gives_what_each_of_its_objects_gives(
    transform: CoordinateTransform, listed: list[dict[str, Any]]
) -> None:
    """A record with one object in another spelling is decoded object by object."""
    record = {"image_id": 1, "objects": [vg_object(7, **fields) for fields in listed]}
    objects = ImageObjects()
    add_visual_genome_objects(RawRecord(json.dumps(record).encode(), 3, transform, objects), SYNSETS)
    included: list[Annotation] = []
    others: list[str] = []
    for fields in listed:
        data = json.dumps(vg_object(7, **fields)).encode()
        try:
            one = object_annotation(msgspec.Raw(data), transform, SYNSETS)
        except BrokenError as error:
            others.append(f"{error.reason} {error.seen} {data!r}")
            continue
        if isinstance(one, str):
            others.append(one)
        else:
            included.append(one[0])
    assert objects.annotations == included
    rejected = [f"{r.reason} {r.seen} {r.data!r}" for r in objects.rejected]
    assert sorted(objects.excluded + rejected) == sorted(others)
    assert objects.count == len(listed)
