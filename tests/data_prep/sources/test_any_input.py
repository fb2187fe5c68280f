"""Any content of an annotation file: every object is accounted for, or one error names the file."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from data_prep.storage.errors import DataError
from tests.data_prep.small_sources import (
    CATEGORIES,
    LVIS_CATEGORIES,
    build_records_plainly,
    lvis_image,
    vg_image,
    write_coco,
    write_lvis,
    write_vg,
)

_JUNK = [None, True, -1, 0, 1, 2, 9, 1.5, 2**53 + 1, -(2**70), 1e300, "", "1", "a.n.01", "../1.jpg", "\x00"]
junk: st.SearchStrategy[Any] = st.sampled_from([*_JUNK, 10**400, [], {}, [[]]])
numbers = st.integers(-3, 60) | st.floats(-10, 60) | junk


def records(known: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    """Records with some of the fields that are known, each as it should be or as it should not; or something else."""
    return st.lists(st.fixed_dictionaries({}, optional=known) | junk, max_size=4)


def few(*values: Any) -> st.SearchStrategy[Any]:
    """One of the values, now and then something else."""
    return st.sampled_from(values * 3) | junk


polygons = few([[2.0, 3.0, 12.0, 3.0, 12.0, 8.0]], {"size": [30, 40], "counts": [600, 30, 570]}, [[1e9] * 6], "abc")
boxes = st.lists(numbers, min_size=3, max_size=5) | few([2.0, 3.0, 10.0, 5.0])
COCO_IMAGE = {"id": 1, "width": 40, "height": 30, "file_name": "000000000001.jpg"}
images = records(
    {
        "id": few(1, 2, 3),
        "width": few(40),
        "height": few(30),
        "file_name": few("000000000001.jpg"),
        "coco_url": few(lvis_image(1)["coco_url"], lvis_image(2)["coco_url"]),
        "flickr_url": few("http://x/77_a.jpg"),
        "license": few(1),
        "neg_category_ids": few([1], [1, 99]),
        "not_exhaustive_category_ids": few([2]),
    }
)
annotations = records(
    {
        "id": few(5, 6),
        "image_id": few(1, 2, 3),
        "category_id": few(1, 3),
        "bbox": boxes,
        "area": few(50.0),
        "iscrowd": few(0, 1),
        "segmentation": polygons,
    }
)
genome_objects = records(
    {
        "object_id": few(5, 6),
        "id": few(5, 6),
        "x": numbers,
        "y": numbers,
        "w": numbers,
        "h": numbers,
        "synsets": few(["a.n.01"], [], ["a.n.01", "b.n.01"], [{"synset_name": "a.n.01"}]),
        "names": few(["tree"], ["tree", "dog"]),
        "name": few("dog"),
    }
)
genome = records({"image_id": few(9, 10), "id": few(9, 10), "objects": genome_objects | junk})
genome_images = records(
    {"image_id": few(9, 10), "id": few(9), "width": few(40), "height": few(30), "coco_id": few(1), "flickr_id": few(77)}
)
any_bytes = st.binary(max_size=40) | st.recursive(
    junk,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["images", "id"]), inner, max_size=2),
).map(lambda document: json.dumps(document).encode())
a_folder_is_reused = settings(suppress_health_check=list(HealthCheck), max_examples=150, deadline=None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of three sources; each test puts annotation files of its own beside them."""
    folder = tmp_path_factory.mktemp("any")
    write_coco(folder / "coco", [COCO_IMAGE], [])
    write_lvis(folder / "lvis", [lvis_image(1), lvis_image(2)], [])
    write_vg(folder / "vg", [vg_image(9), vg_image(10)], {})
    return folder


def check(path: Path, data: bytes, *sources: str) -> int | None:
    """Put the bytes in the file's place; how many of its objects were read, None if it was refused by name."""
    whole = path.read_bytes()
    path.write_bytes(data)
    try:
        total, _ = build_records_plainly(*sources)
    except DataError as error:
        assert path.name in str(error)
        return None
    finally:
        path.write_bytes(whole)
    return total.objects.get(sources[-1].partition("=")[0], 0)


@given(images, annotations)
@a_folder_is_reused
def test_any_coco_format_file(folder: Path, images: Any, annotations: Any) -> None:
    document = {"images": [COCO_IMAGE, *images], "annotations": annotations, "categories": CATEGORIES}
    path = folder / "coco/annotations/instances_train2017.json"
    found = check(path, json.dumps(document).encode(), f"coco=coco:{folder}/coco")
    assert found in (None, len(annotations))


@given(images, annotations)
@a_folder_is_reused
def test_any_lvis_file(folder: Path, images: Any, annotations: Any) -> None:
    document = {"images": [lvis_image(1), *images], "annotations": annotations, "categories": LVIS_CATEGORIES}
    sources = (f"coco=coco:{folder}/coco", f"lvis=lvis:{folder}/lvis")
    found = check(folder / "lvis/lvis_v1_train.json", json.dumps(document).encode(), *sources)
    assert found in (None, len(annotations))


@given(genome_objects, genome, genome_images)
@example([], [{"image_id": "1", "objects": [{}]}], [])
@a_folder_is_reused
def test_any_visual_genome_files(folder: Path, objects: Any, genome: Any, images: Any) -> None:
    genome = [{"image_id": 9, "objects": objects}, *genome]
    (folder / "vg/object_synsets.json").write_text('{"tree": "tree.n.01", "dog": "dog.n.01"}')
    (folder / "vg/image_data.json").write_text(json.dumps([vg_image(9, coco_id=1), *images]))
    sources = (f"coco=coco:{folder}/coco", f"vg=vg:{folder}/vg")
    found = check(folder / "vg/objects.json", json.dumps(genome).encode(), *sources)
    assert found in (None, sum(len(record["objects"]) for record in genome if _is_a_record(record)))


def _is_a_record(record: Any) -> bool:
    """Whether an item of `objects.json` names an image, by a number or its text, and lists objects; what does not is
    rejected as a whole."""
    if not isinstance(record, dict) or not isinstance(record.get("objects"), list):
        return False
    image_id = record.get("id") if record.get("image_id") is None else record["image_id"]
    if isinstance(image_id, str) and image_id.isdecimal():
        image_id = int(image_id)
    return type(image_id) is int and 0 <= image_id <= 2**53


@given(st.data(), any_bytes)
@a_folder_is_reused
def test_any_bytes_in_place_of_any_file(folder: Path, data: st.DataObject, found: bytes) -> None:
    (folder / "vg/object_synsets.json").write_text("{}")
    names = ("coco/annotations/instances_train2017.json", "lvis/lvis_v1_train.json", "vg/image_data.json")
    path = folder / data.draw(st.sampled_from([*names, "vg/objects.json", "vg/object_synsets.json"]))
    check(path, found, f"coco=coco:{folder}/coco", f"lvis=lvis:{folder}/lvis", f"vg=vg:{folder}/vg")
