"""LVIS: its masks join COCO's images, its lists of classes stay, and held-out images stay held out."""

import json
import shutil
from pathlib import Path

import pytest

from data_prep.format.manifest import Manifest
from data_prep.format.reader import Dataset
from data_prep.format.records import Record
from data_prep.sources.options import parse_sources
from data_prep.storage.errors import DataError
from tests.data_prep.rejects import read_rejects
from tests.data_prep.small_sources import (
    coco_image,
    coco_object,
    jpeg,
    lvis_image,
    lvis_object,
    prepare_plainly,
    vg_image,
    vg_object,
    write_coco,
    write_lvis,
    write_vg,
)


def prepared(folder: Path) -> tuple[Manifest, dict[str, Record]]:
    """The dataset of the sources in the folder: its manifest, and the records by key."""
    kinds = {"coco": "coco", "lvis": "lvis", "vg": "vg"}
    sources = [f"{name}={kind}:{folder}/{name}" for name, kind in kinds.items() if (folder / name).is_dir()]
    manifest = prepare_plainly(folder / "out", *sources)
    dataset = Dataset.open(str(folder / "out"))
    return manifest, {row.key: dataset.read_record(row) for row in dataset.rows}


def splits(folder: Path) -> dict[str, tuple[str, str]]:
    return {row.key: (row.split, row.part) for row in Dataset.open(str(folder / "out")).rows}


def test_its_objects_join_cocos_image_with_its_lists(tmp_path: Path) -> None:
    write_coco(tmp_path / "coco", [coco_image(1)], [coco_object(5, 1)])
    image = lvis_image(1, neg_category_ids=[2, 1], not_exhaustive_category_ids=[3])
    write_lvis(tmp_path / "lvis", [image], [lvis_object(8, 1, category_id=2)])
    (tmp_path / "lvis/train2017/000000000001.jpg").unlink()
    manifest, records = prepared(tmp_path)
    (record,) = records.values()
    assert (record.key, record.ids) == ("coco-000000000001", {"coco": 1, "lvis": 1})
    assert [(a.id, a.category) for a in record.objects["lvis"]] == [(8, "bat_(animal)")]
    assert record.objects["lvis"][0].mask == record.objects["coco"][0].mask is not None
    assert record.negative == {"lvis": ["acorn", "bat_(animal)"]}
    assert record.not_exhaustive == {"lvis": ["cat"]}
    assert manifest.counts["train"]["coco+lvis"]["lvis_masks"] == 1


@pytest.mark.parametrize("width", [-1, 0, None, "wide"])
def test_a_size_that_is_none_is_taken_from_the_file(tmp_path: Path, width: object) -> None:
    image = lvis_image(1)
    write_lvis(tmp_path / "lvis", [image], [lvis_object(8, 1)])
    listed = tmp_path / "lvis/lvis_v1_train.json"
    document = json.loads(listed.read_bytes())
    document["images"][0]["width"] = width
    listed.write_text(json.dumps(document))
    manifest, records = prepared(tmp_path)
    (record,) = records.values()
    assert (record.width, record.height) == (image["width"], image["height"])
    assert record.objects["lvis"][0].mask is not None
    assert manifest.repaired["lvis"]["size_from_file"] == 1


@pytest.mark.parametrize("images", ["", "images/"])
def test_a_file_alone_is_looked_for_cocos_folders_near_it(tmp_path: Path, images: str) -> None:
    write_lvis(tmp_path, [lvis_image(1), lvis_image(2, "val2017")], [lvis_object(8, 1, category_id=2)], "val")
    (tmp_path / images).mkdir(exist_ok=True)
    for folder in ("train2017", "val2017"):
        (tmp_path / folder).rename(tmp_path / images / folder)
    manifest = prepare_plainly(tmp_path / "out", f"lvis@val=lvis:{tmp_path}/lvis_v1_val.json")
    assert manifest.counts["val"]["lvis"]["photographs"] == 2
    assert (manifest.sources[0].kind, manifest.repaired, manifest.rejected) == ("lvis", {}, {})


def test_a_file_alone_without_images_is_told(tmp_path: Path) -> None:
    write_lvis(tmp_path, [lvis_image(1)], [])
    shutil.rmtree(tmp_path / "train2017")
    with pytest.raises(
        DataError, match=r"\(train2017/0+1\.jpg is the first\) are not in .*; .*lvis:ANNOTATIONS,IMAGES"
    ):
        parse_sources((f"lvis=lvis:{tmp_path}/lvis_v1_train.json",))


def test_an_image_that_nobody_has_looked_through_has_no_lists(tmp_path: Path) -> None:
    write_lvis(tmp_path / "lvis", [lvis_image(1)], [])
    _, records = prepared(tmp_path)
    assert (records["lvis-000000000001"].negative, records["lvis-000000000001"].not_exhaustive) == ({}, {})


def test_no_class_of_it_is_exhaustive_and_its_synsets_are_its_own(tmp_path: Path) -> None:
    write_coco(tmp_path / "coco", [coco_image(1)], [coco_object(5, 1)])
    write_lvis(tmp_path / "lvis", [lvis_image(1)], [lvis_object(8, 1, category_id=3)])
    manifest, _ = prepared(tmp_path)
    assert [(s.name, s.kind, s.exhaustive) for s in manifest.sources] == [
        ("coco", "coco", ("cat", "potted plant")),
        ("lvis", "lvis", ()),
    ]
    classes = Dataset.open(str(tmp_path / "out")).vocabulary.classes
    assert [(c.synset, c.name, c.category_id, sorted(c.sources)) for c in classes] == [
        ("cat.n.01", "cat", 1, ["coco", "lvis"]),
        ("plant.n.01", "potted plant", 3, ["coco"]),
        ("acorn.n.01", "acorn", None, ["lvis"]),
        ("bat.n.01", "bat_(animal)", None, ["lvis"]),
        ("plant.n.02", "potted plant (plant.n.02)", None, ["lvis"]),
    ]


def test_alone_it_has_its_own_images_and_ids(tmp_path: Path) -> None:
    write_lvis(tmp_path / "lvis", [lvis_image(1)], [lvis_object(8, 1)])
    write_lvis(tmp_path / "lvis", [lvis_image(2), lvis_image(3, "val2017")], [lvis_object(8, 3)], "val")
    prepared(tmp_path)
    assert splits(tmp_path) == {
        "lvis-000000000001": ("train", "lvis"),
        "lvis-000000000002": ("val", "lvis"),
        "lvis-000000000003": ("val", "lvis"),
    }
    dataset = Dataset.open(str(tmp_path / "out"))
    assert {dataset.read_image(row) for row in dataset.rows} == {jpeg(1), jpeg(2), jpeg(3)}
    assert [c.category_id for c in dataset.vocabulary.classes] == [1, 2, 3, 4]


def test_what_coco_holds_out_leaves_lviss_training_side(tmp_path: Path) -> None:
    write_coco(tmp_path / "coco", [coco_image(1)], [], "val")
    write_lvis(tmp_path / "lvis", [lvis_image(1, "val2017")], [lvis_object(8, 1)])
    _, records = prepared(tmp_path)
    assert splits(tmp_path) == {"coco-000000000001": ("val", "coco+lvis")}
    assert len(records["coco-000000000001"].objects["lvis"]) == 1


def test_what_lvis_holds_out_and_coco_trains_on_is_left_out(tmp_path: Path) -> None:
    for split, number in (("train", 1), ("val", 2)):
        write_coco(tmp_path / "coco", [coco_image(number)], [], split)
    objects = [lvis_object(8, 1), lvis_object(9, 2)]
    write_lvis(tmp_path / "lvis", [lvis_image(1), lvis_image(2, "val2017")], objects, "val")
    manifest, _ = prepared(tmp_path)
    assert splits(tmp_path) == {"coco-000000000001": ("train", "coco"), "coco-000000000002": ("val", "coco+lvis")}
    assert manifest.left_out == {"lvis": {"val_in_train": 1, "photograph_left_out": 1}}


def test_visual_genomes_copy_of_what_lvis_holds_out_leaves_training_without_coco_too(tmp_path: Path) -> None:
    write_lvis(tmp_path / "lvis", [lvis_image(1)], [])
    write_lvis(tmp_path / "lvis", [lvis_image(2)], [], "val")
    images = [vg_image(9, coco_id=1, width=80, height=60), vg_image(10, coco_id=2), vg_image(11)]
    write_vg(tmp_path / "vg", images, {9: [vg_object(7)]})
    prepared(tmp_path)
    assert splits(tmp_path) == {
        "lvis-000000000001": ("train", "lvis+vg"),
        "lvis-000000000002": ("val", "lvis+vg"),
        "vg-0000000011": ("train", "vg"),
    }


def test_three_sources_of_one_image_are_one(tmp_path: Path) -> None:
    write_coco(tmp_path / "coco", [coco_image(1)], [coco_object(5, 1)])
    write_lvis(tmp_path / "lvis", [lvis_image(1)], [lvis_object(8, 1)])
    write_vg(tmp_path / "vg", [vg_image(9, coco_id=1)], {9: [vg_object(7)]})
    _, records = prepared(tmp_path)
    assert splits(tmp_path) == {"coco-000000000001": ("train", "coco+lvis+vg")}
    assert {name: len(found) for name, found in records["coco-000000000001"].objects.items()} == {
        "coco": 1,
        "lvis": 1,
        "vg": 1,
    }


def test_an_image_in_both_of_its_files_is_refused(tmp_path: Path) -> None:
    for split in ("train", "val"):
        write_lvis(tmp_path / "lvis", [lvis_image(1)], [], split)
    with pytest.raises(DataError, match=r"lvis_v1_val\.json: image 1 is in lvis_v1_train\.json too"):
        prepared(tmp_path)


def test_masks_are_not_put_on_a_copy_of_another_size(tmp_path: Path) -> None:
    write_coco(tmp_path / "coco", [coco_image(1)], [])
    write_lvis(tmp_path / "lvis", [lvis_image(1, width=80, height=60)], [lvis_object(8, 1)])
    manifest, _ = prepared(tmp_path)
    assert splits(tmp_path) == {"coco-000000000001": ("train", "coco"), "lvis-000000000001": ("train", "lvis")}
    assert manifest.left_out == {"lvis": {"aspect_ratio": 1}}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"coco_url": "http://x/../a.jpg"}, "bad_file_name"),
        ({"coco_url": ""}, "malformed"),
        ({"coco_url": None}, "malformed"),
    ],
)
def test_a_broken_image_record_is_rejected_with_its_reason(
    tmp_path: Path, fields: dict[str, object], reason: str
) -> None:
    write_lvis(tmp_path / "lvis", [lvis_image(1), lvis_image(2)], [lvis_object(8, 2)])
    path = tmp_path / "lvis/lvis_v1_train.json"
    document = json.loads(path.read_text())
    document["images"][1].update(fields)
    path.write_text(json.dumps(document))
    prepared(tmp_path)
    assert reason in {reject.reason for reject in read_rejects(f"{tmp_path}/out/rejects.parquet")}
