"""Broken records and files: each is a reject with its reason, or refused by name; no object is lost."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_prep.format.manifest import manifest_uri
from data_prep.inspect.verify import find_problems
from data_prep.prepare.options import PrepareOptions
from data_prep.prepare.prepare import prepare
from data_prep.storage.errors import DataError
from data_prep.storage.storage import exists
from tests.data_prep.prepare.own_source import write
from tests.data_prep.prepare.test_small_datasets import both, records
from tests.data_prep.rejects import read_rejects
from tests.data_prep.small_sources import (
    coco_image,
    coco_object,
    jpeg,
    prepare_plainly,
    vg_image,
    vg_object,
    write_coco,
    write_vg,
)


def test_each_broken_thing_is_a_row_with_its_reason(tmp_path: Path) -> None:
    twice = [coco_image(6), coco_image(6, file_name="7.jpg")]
    images = [coco_image(1), *twice, coco_image(2, file_name="../../2.jpg"), {"id": 3}, coco_image(4), "text"]
    flat = coco_object(3, 1, bbox=[1, 1, 0, 2], segmentation=[])
    annotations = [coco_object(1, 1), coco_object(2, 99), flat, coco_object(4, 4), {"id": 5}]
    write_coco(tmp_path / "coco", images, annotations)
    (tmp_path / "coco/train2017/000000000004.jpg").write_bytes(jpeg(4)[:-90])
    manifest = prepare_plainly(tmp_path / "out", f"coco=coco:{tmp_path}/coco")
    rejects = read_rejects(f"{tmp_path}/out/rejects.parquet")
    assert {(r.kind, r.id, r.reason) for r in rejects} == {
        ("photograph", 6, "duplicate_id"),
        ("photograph", 2, "bad_file_name"),
        ("photograph", -1, "malformed"),
        ("photograph", 4, "unreadable"),
        ("object", -1, "unknown_image"),
        ("object", 3, "zero_size"),
        ("object", -1, "malformed"),
    }
    assert sum(manifest.rejected["coco"].values()) == len(rejects) == 9
    assert manifest.left_out == {"coco": {"photograph_rejected": 1}}
    text = (tmp_path / "coco/annotations/instances_train2017.json").read_text()
    zero_size = next(r for r in rejects if r.reason == "zero_size")
    assert text[zero_size.offset :].startswith('{"id": 3, "image_id": 1')


@pytest.mark.parametrize("fields", [{"width": 10**400}, {"height": 2**31}, {"flickr_id": 2**63}, {"coco_id": 10**400}])
def test_a_number_that_no_index_can_hold_is_malformed(tmp_path: Path, fields: dict[str, Any]) -> None:
    write_coco(tmp_path / "coco", [coco_image(1)], [])
    write_vg(tmp_path / "vg", [vg_image(9), vg_image(10, coco_id=1)], {})
    (tmp_path / "vg/image_data.json").write_text(json.dumps([vg_image(9), {**vg_image(10, coco_id=1), **fields}]))
    manifest = prepare_plainly(tmp_path / "out", *both(tmp_path))
    assert manifest.rejected == {"vg": {"malformed": 1}}


def test_what_merged_with_a_rejected_image_is_accounted_for(tmp_path: Path) -> None:
    write_coco(tmp_path / "coco", [coco_image(1), coco_image(2)], [])
    write_vg(tmp_path / "vg", [vg_image(9, coco_id=1)], {9: [vg_object(7)]})
    (tmp_path / "coco/train2017/000000000001.jpg").unlink()
    manifest = prepare_plainly(tmp_path / "out", *both(tmp_path))
    assert manifest.left_out == {"vg": {"copy_rejected": 1, "photograph_rejected": 1}}
    assert manifest.rejected == {"coco": {"missing_file": 1}}


def test_too_many_broken_records_publish_nothing(tmp_path: Path) -> None:
    broken = [coco_object(number, 1, bbox=[1, 1, 0, 2], segmentation=[]) for number in range(12)]
    write_coco(tmp_path / "coco", [coco_image(1)], [*broken, coco_object(99, 1)])
    with pytest.raises(DataError, match=r"source coco: 12 of 13 objects are broken.*zero_size 12×.*--max-rejected"):
        prepare_plainly(tmp_path / "out", f"coco=coco:{tmp_path}/coco", max_rejected=0.5)
    assert not exists(manifest_uri(f"{tmp_path}/out"))


def test_a_refused_dataset_leaves_its_rejects_and_the_next_run_works(tmp_path: Path) -> None:
    source = write(
        tmp_path, [coco_image(1)], [coco_object(n, 1, bbox=[1, 1, 0, 2], segmentation=[]) for n in range(1, 9)]
    )
    options = PrepareOptions((f"mine=coco:{source}",), f"{tmp_path}/out")
    with pytest.raises(DataError, match=r"own\.json: annotation 1, bbox: .*out/rejects\.parquet lists all of them"):
        prepare(options)
    assert {reject.reason for reject in read_rejects(f"{tmp_path}/out/rejects.parquet")} == {"zero_size"}
    write(tmp_path, [coco_image(1)], [coco_object(1, 1)])
    assert prepare(options).rejected == {}


@pytest.mark.parametrize("name", ["images", "annotations", "categories"])
def test_a_file_without_a_key_is_refused_with_its_name(tmp_path: Path, name: str) -> None:
    write_coco(tmp_path / "coco", [coco_image(1)], [])
    path = tmp_path / "coco/annotations/instances_train2017.json"
    document = json.loads(path.read_text())
    del document[name]
    path.write_text(json.dumps(document))
    with pytest.raises(DataError, match=rf"instances_train2017\.json: has no '{name}'"):
        prepare_plainly(tmp_path / "out", f"coco=coco:{tmp_path}/coco")


def test_an_empty_dataset_is_refused(tmp_path: Path) -> None:
    write_coco(tmp_path / "coco", [], [])
    with pytest.raises(DataError, match="lists no images"):
        prepare_plainly(tmp_path / "out", f"coco=coco:{tmp_path}/coco")


def test_a_dataset_of_which_no_image_is_there_is_refused(tmp_path: Path) -> None:
    write_coco(tmp_path / "coco", [coco_image(1)], [])
    (tmp_path / "coco/train2017/000000000001.jpg").unlink()
    with pytest.raises(DataError, match=r"not one image can be used; missing_file 1×"):
        prepare_plainly(tmp_path / "out", f"coco=coco:{tmp_path}/coco")


junk: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(max_size=3) | st.just([]) | st.just({})
)
objects = st.lists(
    st.builds(
        lambda fields, synsets: vg_object(1, synsets, **fields),
        st.dictionaries(st.sampled_from(["x", "w", "h", "object_id"]), st.integers(-60, 60) | junk, max_size=2),
        st.lists(st.sampled_from(["a.n.01", "b.n.01", ""]), max_size=2),
    )
    | junk,
    max_size=4,
)


@given(
    st.lists(st.tuples(st.sampled_from(["area", "image_id", "category_id", "segmentation"]), junk), max_size=6),
    st.dictionaries(st.integers(9, 12), objects, max_size=4),
    st.none() | st.integers(0, 2),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
def test_objects_in_are_included_excluded_or_rejected(
    tmp_path_factory: pytest.TempPathFactory,
    broken: list[tuple[str, Any]],
    vg_objects: dict[int, list[Any]],
    coco_id: int | None,
) -> None:
    folder = tmp_path_factory.mktemp("sources")
    annotations = [coco_object(5, 1), *(coco_object(6, 1, **{name: value}) for name, value in broken)]
    write_coco(folder / "coco", [coco_image(1), coco_image(2)], annotations)
    write_vg(folder / "vg", [vg_image(9, coco_id=coco_id), vg_image(10)], vg_objects)
    manifest = prepare_plainly(folder / "out", *both(folder))  # checks the sums itself
    out = [a for record in records(folder / "out").values() for found in record.objects.values() for a in found]
    included = sum(
        counts.get(f"{s}_objects", 0) for counts in manifest.counts["train"].values() for s in ("coco", "vg")
    )
    assert len(out) == included
    assert find_problems(str(folder / "out")) == []


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
def test_a_damaged_annotation_file_is_refused_or_accounted_for(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("sources")
    write_coco(folder / "coco", [coco_image(1), coco_image(2)], [coco_object(5, 1), coco_object(6, 2)])
    write_vg(folder / "vg", [vg_image(9, coco_id=1)], {9: [vg_object(7)]})
    names = ("coco/annotations/instances_train2017.json", "vg/objects.json", "vg/image_data.json")
    path = folder / data.draw(st.sampled_from(names))
    damaged = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(damaged)
    try:
        prepare_plainly(folder / "out", *both(folder))
    except DataError:
        assert not exists(manifest_uri(f"{folder}/out"))
    else:
        assert find_problems(str(folder / "out")) == []
