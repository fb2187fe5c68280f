"""Small sources, prepared in plain loops: what is included, what is excluded, and what is reported of the rest."""

import json
from pathlib import Path

import pytest

from data_prep.format.reader import Dataset
from data_prep.format.records import Annotation, Record
from data_prep.storage.errors import DataError
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


def records(out: Path) -> dict[str, Record]:
    dataset = Dataset.open(str(out))
    return {row.key: dataset.read_record(row) for row in dataset.rows}


def both(folder: Path) -> tuple[str, str]:
    return f"coco=coco:{folder}/coco", f"vg=vg:{folder}/vg"


def test_an_image_of_two_sources_is_included_once_with_the_objects_of_each(tmp_path: Path) -> None:
    write_coco(tmp_path / "coco", [coco_image(1)], [coco_object(5, 1)])
    write_vg(tmp_path / "vg", [vg_image(9, coco_id=1, width=80, height=60)], {9: [vg_object(7)]})
    manifest = prepare_plainly(tmp_path / "out", *both(tmp_path))
    (record,) = records(tmp_path / "out").values()
    assert record.ids == {"coco": 1, "vg": 9}
    assert [(a.category, a.bbox) for a in record.objects["coco"]] == [("cat", (2, 3, 10, 5))]
    assert record.objects["vg"] == [Annotation(7, "tree.n.01", (2, 3, 5, 2.5), 12.5)]
    dataset = Dataset.open(str(tmp_path / "out"))
    assert dataset.read_image(dataset.rows[0]) == jpeg(1)
    assert manifest.counts == {
        "train": {"coco+vg": {"photographs": 1, "coco_objects": 1, "coco_masks": 1, "vg_objects": 1}}
    }


def test_an_image_without_objects_still_comes_out(tmp_path: Path) -> None:
    write_coco(tmp_path / "coco", [coco_image(1)], [])
    write_vg(tmp_path / "vg", [vg_image(9), vg_image(10)], {9: []})
    prepare_plainly(tmp_path / "out", *both(tmp_path))
    found = records(tmp_path / "out")
    assert sorted(found) == ["coco-000000000001", "vg-0000000009", "vg-0000000010"]
    assert found["vg-0000000009"].objects == {"vg": []}


def test_the_index_tells_licence_flickr_id_and_classes(tmp_path: Path) -> None:
    url = "http://farm1.staticflickr.com/1/77_a_z.jpg"
    write_coco(tmp_path / "coco", [coco_image(1, license=4, flickr_url=url)], [coco_object(5, 1)])
    path = tmp_path / "coco/annotations/instances_train2017.json"
    licenses = [{"id": 4, "name": "By", "url": "http://example.org/by"}]
    path.write_text(json.dumps({**json.loads(path.read_text()), "licenses": licenses}))
    prepare_plainly(tmp_path / "out", f"coco=coco:{tmp_path}/coco")
    (row,) = Dataset.open(str(tmp_path / "out")).rows
    assert (row.license, row.flickr_id, row.classes) == ("http://example.org/by", 77, {"coco": ["cat"]})


def test_classes_outside_the_vocabulary_stay_in_the_shards(tmp_path: Path) -> None:
    objects = [vg_object(1), vg_object(2), vg_object(3, ["rare.n.01"]), vg_object(4, ["tree.n.01", "rare.n.01"])]
    write_vg(tmp_path / "vg", [vg_image(9)], {9: objects})
    manifest = prepare_plainly(tmp_path / "out", f"vg=vg:{tmp_path}/vg", classes=1)
    assert [c.synset for c in Dataset.open(str(tmp_path / "out")).vocabulary.classes] == ["tree.n.01"]
    assert [a.category for a in records(tmp_path / "out")["vg-0000000009"].objects["vg"]] == [
        "tree.n.01",
        "tree.n.01",
        "rare.n.01",
    ]
    assert manifest.left_out == {"vg": {"several_synsets": 1, "outside_vocabulary": 1}}


def test_synsets_of_objects_with_several_and_of_all_images_count_for_the_vocabulary(tmp_path: Path) -> None:
    write_coco(tmp_path / "coco", [coco_image(1)], [], "val")
    objects = {9: [vg_object(1, ["a.n.01", "b.n.01"])], 10: [vg_object(2, ["b.n.01"]), vg_object(3, ["c.n.01"])]}
    write_vg(tmp_path / "vg", [vg_image(9, coco_id=1), vg_image(10)], objects)
    prepare_plainly(tmp_path / "out", *both(tmp_path), classes=1)
    synsets = [c.synset for c in Dataset.open(str(tmp_path / "out")).vocabulary.classes]
    assert synsets == ["cat.n.01", "plant.n.01", "b.n.01"]


def test_release_1_0_of_visual_genome_gives_the_dataset_that_1_4_gives(tmp_path: Path) -> None:
    boxes = {"x": 4, "y": 6, "w": 10, "h": 5}
    write_vg(tmp_path / "vg", [vg_image(9)], {9: [vg_object(1), vg_object(2, ["dog.n.01"]), vg_object(3, [])]})
    write_vg(tmp_path / "old", [vg_image(9)], {})
    images = [{"id": image.pop("image_id"), **image} for image in [vg_image(9)]]
    (tmp_path / "old/image_data.json").write_text(json.dumps(images))
    objects = [{"id": number, "names": [name], **boxes} for number, name in enumerate(["Tree", "dog", "?"], start=1)]
    (tmp_path / "old/objects.json").write_text(json.dumps([{"id": 9, "objects": objects}]))
    with pytest.raises(DataError, match=r"objects\.json: its objects have no synsets.*put object_synsets\.json beside"):
        prepare_plainly(tmp_path / "none", f"vg=vg:{tmp_path}/old")
    (tmp_path / "old/object_synsets.json").write_text('{"tree": "tree.n.01", "dog": "dog.n.01"}')
    new = prepare_plainly(tmp_path / "out", f"vg=vg:{tmp_path}/vg")
    old = prepare_plainly(tmp_path / "out_old", f"vg=vg:{tmp_path}/old")
    assert (old.shards, old.files, old.left_out) == (new.shards, new.files, new.left_out)
    assert [file.path for file in old.sources[0].files] == ["image_data.json", "objects.json", "object_synsets.json"]


def test_a_map_of_synsets_that_is_none_is_named(tmp_path: Path) -> None:
    write_vg(tmp_path / "vg", [vg_image(9)], {9: [vg_object(1)]})
    (tmp_path / "vg/object_synsets.json").write_text('{"tree": 5}')
    with pytest.raises(DataError, match=r"object_synsets\.json: should map object names to synsets"):
        prepare_plainly(tmp_path / "out", f"vg=vg:{tmp_path}/vg")


def test_custom_data_has_a_train_and_a_val_file_that_both_count_from_one(tmp_path: Path) -> None:
    for split in ("train", "val"):
        write_coco(tmp_path / "own", [coco_image(1)], [coco_object(1, 1)], split)
    folder = tmp_path / "own"
    places = [f"coco:{folder}/annotations/instances_{s}2017.json,{folder}/{s}2017" for s in ("train", "val")]
    prepare_plainly(tmp_path / "out", f"mine={places[0]}", f"mine@val={places[1]}")
    dataset = Dataset.open(str(tmp_path / "out"))
    assert {row.key: row.split for row in dataset.rows} == {
        "mine-000000000001": "train",
        "mine-val-000000000001": "val",
    }
    assert all(len(record.objects["mine"]) == 1 for record in records(tmp_path / "out").values())


def test_two_releases_in_one_folder_are_refused(tmp_path: Path) -> None:
    url = "http://farm1.staticflickr.com/1/77_a_z.jpg"
    for split in ("train", "val"):
        write_coco(tmp_path / "coco", [coco_image(1, flickr_url=url)], [], split)
    with pytest.raises(DataError, match=r"instances_val2017\.json: image 1 is in .*instances_train2017\.json too"):
        prepare_plainly(tmp_path / "out", f"coco=coco:{tmp_path}/coco")
