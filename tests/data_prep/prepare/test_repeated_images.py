"""An image or an object that stands twice: in a file, a source, several sources or splits, it counts once."""

from pathlib import Path

import pytest

from tests.data_prep.prepare.own_source import made, write
from tests.data_prep.prepare.test_small_datasets import records
from tests.data_prep.small_sources import coco_image, coco_object, prepare_plainly


def test_an_image_under_two_ids_is_one_with_the_objects_of_both(tmp_path: Path) -> None:
    again = coco_image(2, file_name="000000000001.jpg")
    objects = [coco_object(1, 1), coco_object(2, 2, bbox=[12, 3, 10, 5], segmentation=[])]
    manifest = made(tmp_path, f"mine=coco:{write(tmp_path, [coco_image(1), again], objects)}")
    (record,) = records(tmp_path / "out").values()
    assert [a.id for a in record.objects["mine"]] == [1, 2]
    assert manifest.left_out == {"mine": {"same_file": 1}}


def test_a_record_that_stands_twice_is_one(tmp_path: Path) -> None:
    manifest = made(tmp_path, f"mine=coco:{write(tmp_path, [coco_image(1), coco_image(1)], [coco_object(1, 1)])}")
    assert len(records(tmp_path / "out")) == 1
    assert manifest.left_out == {"mine": {"same_record": 1}}


def test_an_object_that_is_anothers_double_is_left_out_but_for_cocos(tmp_path: Path) -> None:
    source = write(tmp_path, [coco_image(1)], [coco_object(1, 1), coco_object(2, 1), coco_object(3, 1, category_id=3)])
    manifest = made(tmp_path, f"mine=coco:{source}")
    assert [a.id for a in records(tmp_path / "out")["mine-000000000001"].objects["mine"]] == [1, 3]
    assert manifest.left_out == {"mine": {"doubled": 1}}
    prepare_plainly(tmp_path / "coco", f"coco=coco:{source}")
    assert [a.id for a in records(tmp_path / "coco")["coco-000000000001"].objects["coco"]] == [1, 2, 3]


def test_a_repair_of_a_double_is_not_counted(tmp_path: Path) -> None:
    source = write(tmp_path, [coco_image(1)], [coco_object(n, 1, iscrowd=False) for n in (1, 2, 3)])
    manifest = made(tmp_path, f"mine=coco:{source}")
    assert (manifest.left_out, manifest.repaired) == ({"mine": {"doubled": 2}}, {"mine": {"number_written": 1}})


def test_doubles_in_two_files_of_a_source_are_left_out_too(tmp_path: Path) -> None:
    source = write(tmp_path, [coco_image(1)], [coco_object(1, 1)])
    manifest = made(tmp_path, f"mine=coco:{source}", f"mine=coco:{source}")
    assert len(records(tmp_path / "out")["mine-000000000001"].objects["mine"]) == 1
    assert manifest.left_out == {"mine": {"doubled": 1, "same_file": 1}}


def test_a_file_that_two_sources_annotate_is_one_image(tmp_path: Path) -> None:
    source = write(tmp_path, [coco_image(1)], [coco_object(1, 1)])
    made(tmp_path, f"mine=coco:{source}", f"yours=coco:{source}")
    (record,) = records(tmp_path / "out").values()
    assert record.ids == {"mine": 1, "yours": 1}
    assert record.objects["mine"] == record.objects["yours"]


def test_a_training_image_that_is_a_validation_image_too_is_kept_out_of_training(tmp_path: Path) -> None:
    source = write(tmp_path, [coco_image(1)], [coco_object(1, 1)])
    manifest = made(tmp_path, f"mine=coco:{source}", f"mine@val=coco:{source}")
    assert manifest.counts.keys() == {"val"}
    assert manifest.left_out["mine"]["val_in_train"] == 1
    assert [(each.by, each.source) for each in manifest.held_out] == [("file", "mine")]


@pytest.mark.parametrize("spelling", ["link", "images", "./link/../link"])
def test_a_folder_in_two_spellings_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spelling: str) -> None:
    write(tmp_path, [coco_image(1), coco_image(2)], [coco_object(1, 1)])
    (tmp_path / "link").symlink_to(tmp_path / "images")
    monkeypatch.chdir(tmp_path)
    train, val = f"mine=coco:own.json,{tmp_path}/images", f"mine@val=coco:own.json,{spelling}"
    assert made(tmp_path, train, val).counts.keys() == {"val"}
    (tmp_path / "nested.json").write_text((tmp_path / "own.json").read_text().replace('"000', '"images/000'))
    manifest = prepare_plainly(tmp_path / "nested", f"mine=coco:{tmp_path}/nested.json,.", val)
    assert manifest.counts.keys() == {"val"}


@pytest.mark.parametrize("link_first", [True, False])
def test_an_image_keeps_its_name_whatever_the_other_source_calls_their_folder(tmp_path: Path, link_first: bool) -> None:
    write(tmp_path / "data", [coco_image(1), coco_image(2)], [coco_object(1, 1)])
    text = (tmp_path / "data/own.json").read_text()
    (tmp_path / "one.json").write_text(text.replace('"000000000001', '"images/000000000001'))
    (tmp_path / "link").symlink_to(tmp_path / "data/images")
    one = f"one=coco:{tmp_path}/one.json,{tmp_path}/data"
    manifests = []
    for images in ("link", "data/images"):
        sources = (one, f"two=coco:{tmp_path}/data/own.json,{tmp_path}/{images}")
        manifests.append(prepare_plainly(tmp_path / f"out/{images}", *(reversed(sources) if link_first else sources)))
        found = records(tmp_path / "out" / images).values()
        names = [f"00000000000{number}.jpg" for number in (1, 2)]
        assert [record.names for record in found] == [{"one": f"images/{name}", "two": name} for name in names]
    assert manifests[0].shards == manifests[1].shards


def test_the_same_bytes_in_two_sources_or_splits_are_noted(tmp_path: Path) -> None:
    one = write(tmp_path / "one", [coco_image(1)], [coco_object(1, 1)])
    two = write(tmp_path / "two", [coco_image(1)], [coco_object(1, 1)])
    assert made(tmp_path, f"mine=coco:{one}", f"yours=coco:{two}").noted["yours"]["same_image_other_source"] == 1
    manifest = prepare_plainly(tmp_path / "splits", f"mine=coco:{one}", f"mine@val=coco:{two}")
    assert manifest.noted["mine"]["same_image_other_split"] == 1
