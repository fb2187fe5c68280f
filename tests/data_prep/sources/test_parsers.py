"""From one record of a source to an annotation: numbers verbatim, boxes in the image, the rest with a reason."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.format.records import Annotation
from data_prep.sources.coco import flickr_id
from data_prep.sources.coco_annotations import add_coco_annotation
from data_prep.sources.coordinates import CoordinateTransform
from data_prep.sources.objects import ImageObjects, RawRecord
from data_prep.sources.reasons import EXCLUDED_OBJECTS, REJECTED, BrokenError
from data_prep.sources.visual_genome_objects import object_annotation
from data_prep.sources.visual_genome_records import RecordHead, raw_objects, read_head, read_heads
from tests.data_prep.small_sources import coco_object, vg_object

CATEGORIES = {1: "cat"}
SAME_SIZE = CoordinateTransform(40, 30)
SYNSETS = {"tree": "tree.n.01", "oak": "tree.n.01", "dog": "dog.n.01"}
anything = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5)
anything_deep = anything | st.lists(anything, max_size=5) | st.dictionaries(st.text(max_size=5), anything, max_size=2)
coordinates = st.integers(-50, 150) | st.floats(-50, 150)


def raw(record: Any) -> msgspec.Raw:
    return msgspec.Raw(json.dumps(record).encode())


def coco(**fields: Any) -> Annotation:
    return read_coco(json.dumps(coco_object(7, 1, **fields)).encode())


def read_coco(data: bytes) -> Annotation:
    objects = ImageObjects()
    add_coco_annotation(RawRecord(data, 0, CoordinateTransform(40, 30), objects), CATEGORIES)
    assert objects.count == 1
    for rejected in objects.rejected:
        raise BrokenError(rejected.reason, rejected.seen)
    return objects.annotations[0]


def genome(transform: CoordinateTransform = SAME_SIZE, **fields: Any) -> tuple[Annotation, bool] | str:
    return object_annotation(raw(vg_object(7, **fields)), transform, SYNSETS)


def test_cocos_numbers_stay_as_they_are() -> None:
    found = coco(bbox=[5.24, -0.5, 39.7, 20.03], area=792.322100000002)
    assert (found.bbox, found.area) == ((5.24, -0.5, 39.7, 20.03), 792.322100000002)


@pytest.mark.parametrize(("segmentation", "area"), [([[2, 3, 12, 3, 12, 8, 2, 8]], 50.0), (None, 35.0)])
def test_an_area_that_the_file_lacks_is_the_masks_or_else_the_boxs(segmentation: Any, area: float) -> None:
    assert coco(area=None, bbox=[1, 1, 7, 5], segmentation=segmentation).area == area


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"bbox": [1, 1, 0, 5], "segmentation": []}, "zero_size"),
        ({"bbox": [1, 1, 5, -1], "segmentation": []}, "zero_size"),
        ({"bbox": [41, 1, 5, 5]}, "outside_image"),
        ({"bbox": [1, 1, 5]}, "malformed"),
        ({"bbox": "1 1 5 here"}, "malformed"),
        ({"iscrowd": "perhaps"}, "malformed"),
        ({"iscrowd": 2}, "malformed"),
        ({"category_id": 2}, "unknown_category"),
        ({"category_id": None}, "malformed"),
    ],
)
def test_a_broken_coco_object_is_rejected_with_its_reason(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(BrokenError) as caught:
        coco(**fields)
    assert caught.value.reason == reason


def test_a_number_beyond_all_bounds_is_malformed() -> None:
    with pytest.raises(BrokenError, match="malformed"):
        read_coco(b'{"id": 1, "category_id": 1, "bbox": [1e400, 1, 1, 1]}')


@given(
    st.dictionaries(st.sampled_from(["id", "category_id", "bbox", "area", "iscrowd", "segmentation"]), anything_deep)
)
def test_whatever_a_coco_file_holds_is_included_or_rejected(fields: dict[str, Any]) -> None:
    try:
        found = coco(**fields)
    except BrokenError as error:
        assert error.reason in REJECTED
        return
    assert found.area > 0


@given(st.dictionaries(st.sampled_from(["object_id", "x", "y", "w", "h", "synsets"]), anything_deep))
def test_whatever_visual_genome_holds_is_included_excluded_or_rejected(fields: dict[str, Any]) -> None:
    try:
        found = genome(**fields)
    except BrokenError as error:
        assert error.reason in REJECTED
        return
    assert not isinstance(found, str) or found in EXCLUDED_OBJECTS


@given(coordinates, coordinates, coordinates, coordinates, st.integers(1, 200), st.integers(1, 200))
def test_a_visual_genome_box_lies_within_the_image(
    x: float, y: float, w: float, h: float, width: int, height: int
) -> None:
    try:
        found = genome(CoordinateTransform(width, height, width / 40, height / 30), x=x, y=y, w=w, h=h)
    except BrokenError as error:
        assert error.reason in {"zero_size", "outside_image"}
        return
    assert isinstance(found, tuple)
    left, top, wide, high = found[0].bbox
    assert left >= 0
    assert top >= 0
    assert round(left + wide, 2) <= width
    assert round(top + high, 2) <= height
    assert min(wide, high) > 0
    assert found[0].bbox == tuple(round(number, 2) for number in found[0].bbox)


def test_a_box_is_scaled_and_rounded_to_a_hundredth() -> None:
    found = genome(CoordinateTransform(640, 427, 640 / 500, 427 / 333), x=391, y=196, w=109, h=70)
    assert isinstance(found, tuple)
    assert found[0].bbox == (500.48, 251.33, 139.52, 89.76)
    assert found[1] is False


def test_a_box_past_the_edge_is_clipped_and_said_to_be() -> None:
    found = genome(x=-4, y=20, w=10, h=30)
    assert isinstance(found, tuple)
    assert (found[0].bbox, found[0].area, found[1]) == ((0, 20, 6, 10), 60, True)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"w": 0}, "zero_size"),
        ({"h": -2}, "zero_size"),
        ({"x": 40}, "outside_image"),
        ({"y": -9}, "outside_image"),
        ({"x": "a"}, "malformed"),
    ],
)
def test_a_broken_visual_genome_object_is_rejected_with_its_reason(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(BrokenError) as caught:
        genome(**fields)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("synsets", "reason"), [([], "no_synset"), ([""], "no_synset"), (["a", "b"], "several_synsets")]
)
def test_objects_without_one_synset_are_excluded_by_rule(synsets: list[str], reason: str) -> None:
    assert genome(synsets=synsets) == reason


BOX = {"x": 4, "y": 6, "w": 10, "h": 5}


@pytest.mark.parametrize(
    "fields",
    [
        {"object_id": 7, "synsets": ["tree.n.01"], "names": ["oak"], "merged_object_ids": [8]},
        {"object_id": 7, "synsets": ["tree.n.01"], "names": ["dog"]},
        {"id": 7, "names": ["tree"]},
        {"id": 7, "names": [" Oak", "tree"]},
        {"id": 7, "names": ["tree", "unheard of"]},
        {"object_id": 7, "name": "oak", "synsets": None},
        {"object_id": 7, "synsets": [{"synset_name": "tree.n.01", "synset_definition": "tall"}]},
    ],
)
def test_an_object_is_the_same_in_every_releases_spelling(fields: dict[str, Any]) -> None:
    found = object_annotation(raw({**BOX, **fields}), CoordinateTransform(40, 30), SYNSETS)
    assert found == (Annotation(7, "tree.n.01", (4, 6, 10, 5), 50), False)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"synsets": [], "names": ["tree"]}, "no_synset"),
        ({"names": ["unheard of"]}, "no_synset"),
        ({}, "no_synset"),
        ({"names": ["tree", "dog"]}, "several_synsets"),
        ({"synsets": ["a.n.01", {"synset_name": "b.n.01"}]}, "several_synsets"),
    ],
)
def test_an_early_releases_object_is_excluded_by_the_same_rules(fields: dict[str, Any], reason: str) -> None:
    assert object_annotation(raw({"id": 7, **BOX, **fields}), CoordinateTransform(40, 30), SYNSETS) == reason


@pytest.mark.parametrize("fields", [{}, {"id": "x"}, {"id": 7, "synsets": 5}, {"id": 7, "synsets": [{"name": "a"}]}])
def test_an_object_in_no_releases_spelling_is_malformed(fields: dict[str, Any]) -> None:
    with pytest.raises(BrokenError, match="malformed"):
        object_annotation(raw({**BOX, **fields}), CoordinateTransform(40, 30), SYNSETS)


@pytest.mark.parametrize(
    "records",
    [
        [{"image_id": 1, "objects": [vg_object(1, ["a", "b", ""]), vg_object(2, [])]}],
        [{"id": 1, "objects": [{"id": 1, "synsets": [{"synset_name": "a"}, {"synset_name": "b"}]}, {"id": 2}]}],
        [{"id": 1, "objects": [{"id": 1, "names": ["A", "b"]}, {"id": 2, "name": "c"}]}],
    ],
)
def test_every_synset_of_every_object_counts_in_every_spelling(records: list[Any]) -> None:
    by_name = {"a": "a", "b": "b"}
    assert read_heads(json.dumps(records).encode(), by_name) == [RecordHead(1, 2, ["a", "b"])]
    assert read_head(raw(records[0]), by_name) == RecordHead(1, 2, ["a", "b"])


def test_a_record_whose_image_is_known_has_its_objects_whatever_else_it_holds() -> None:
    record = {"image_id": 1, "id": -5, "objects": [vg_object(7)]}
    assert read_heads(json.dumps([record]).encode(), {}) == [RecordHead(1, 1, ["tree.n.01"])]
    assert len(raw_objects(raw(record))) == 1


@pytest.mark.parametrize("record", [{"objects": []}, {"id": 1}, {"id": -1, "objects": []}, 5])
def test_a_record_of_no_image_is_refused(record: Any) -> None:
    with pytest.raises(msgspec.ValidationError):
        read_heads(json.dumps([record]).encode(), {})
    with pytest.raises(msgspec.ValidationError):
        read_head(raw(record), {})


@pytest.mark.parametrize(
    ("url", "number"),
    [
        ("http://farm4.staticflickr.com/3829/9254279287_71efb77c96_z.jpg", 9254279287),
        ("", None),
        (None, None),
        ("http://example.org/photo.jpg", None),
        ("http://example.org/²_a.jpg", None),
        (f"http://example.org/{'9' * 40}_a.jpg", None),
    ],
)
def test_a_flickr_photos_number_is_read_from_its_url(url: str | None, number: int | None) -> None:
    assert flickr_id(url) == number
