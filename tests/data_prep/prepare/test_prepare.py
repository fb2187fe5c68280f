"""Prepare from end to end, on the toy world: what comes out is right, and the same whoever makes it."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import webdataset as wds

from data_prep.format.manifest import read_manifest
from data_prep.format.reader import Dataset
from data_prep.format.records import decode_record
from data_prep.inspect.verify import find_problems
from data_prep.prepare.options import PrepareOptions
from data_prep.prepare.prepare import prepare
from data_prep.storage.errors import ConfigError, DataError
from tests.data_prep.conftest import Prepare
from tests.data_prep.rejects import read_rejects
from tests.data_prep.small_sources import coco_image, coco_object, write_coco


def contents(folder: Path) -> dict[str, bytes]:
    """The dataset's files; `run.json` alone tells of the run."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "run.json")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def read_json(path: Path) -> Any:
    return json.loads(path.read_text())


def test_the_toy_worlds_troubles_are_counted_one_by_one(toy_original: Path, toy_dataset: Path) -> None:
    troubles = read_json(toy_original / "troubles.json")
    manifest = read_manifest(str(toy_dataset))
    vg = {name: sum(split.get(name, 0) for split in troubles["visual_genome"].values()) for name in _VG_TROUBLES}
    left_out, rejected = manifest.left_out["vg"], manifest.rejected["vg"]
    assert left_out["no_synset"] == vg["without_synset"]
    assert left_out["several_synsets"] == vg["two_synsets"]
    assert rejected["zero_size"] == vg["zero_width"]
    assert rejected["unknown_image"] == len(troubles["objects_without_image_data"])
    assert rejected["missing_file"] == len(troubles["missing_jpegs"])
    unreadable = [r.excerpt for r in read_rejects(f"{toy_dataset}/rejects.parquet") if r.reason == "unreadable"]
    assert len(unreadable) == len(troubles["truncated_jpegs"])
    assert all(any(Path(path).name in text for text in unreadable) for path in troubles["truncated_jpegs"])
    clipped = sum(c.get("vg_clipped", 0) for parts in manifest.counts.values() for c in parts.values())
    assert clipped == vg["box_past_edge"]
    crowds = {s: sum(c.get("coco_crowds", 0) for c in parts.values()) for s, parts in manifest.counts.items()}
    assert crowds == {split: counts["crowds"] for split, counts in troubles["coco"].items()}


_VG_TROUBLES = ("without_synset", "two_synsets", "zero_width", "box_past_edge")


def test_every_image_that_is_whole_comes_out(toy_original: Path, toy_dataset: Path) -> None:
    rows = Dataset.open(str(toy_dataset)).rows
    for split, number in (("train", 40 - 2 - 1), ("val", 20)):  # two truncated, one missing
        names_of_copies = [row for row in rows if row.split == split and row.part == "vg"]
        own = [row for row in rows if row.split == split and "coco" in row.ids]
        listed = read_json(toy_original / f"coco/annotations/instances_{split}2017.json")["images"]
        assert len(own) == len(listed) - (split == "train")
        if split == "train":  # validation's copies without any id are found by what they show
            unknown = read_json(toy_original / "troubles.json")["visual_genome"]["val"]["shared_without_any_id"]
            assert unknown == read_manifest(str(toy_dataset)).left_out["vg"]["copy_of_val"] > 0
            assert len(own) + len(names_of_copies) == number


def test_images_are_the_sources_bytes(toy_original: Path, toy_dataset: Path) -> None:
    dataset = Dataset.open(str(toy_dataset))
    for row in dataset.rows:
        if "coco" in row.ids:
            path = toy_original / f"coco/{row.split}2017/{row.ids['coco']:012d}.jpg"
        else:
            number = row.ids["vg"]
            path = toy_original / f"visual_genome/VG_100K{'' if number % 2 else '_2'}/{number}.jpg"
        assert dataset.read_image(row) == path.read_bytes()


def test_no_validation_image_is_in_training_by_id_or_flickr_id(toy_original: Path, toy_dataset: Path) -> None:
    val = read_json(toy_original / "coco/annotations/instances_val2017.json")["images"]
    val_ids = {image["id"] for image in val}
    val_flickr_ids = {int(image["flickr_url"].split("/")[-1].split("_")[0]) for image in val}
    listed = {i["image_id"]: i for i in read_json(toy_original / "visual_genome/image_data.json")}
    train = [row for row in Dataset.open(str(toy_dataset)).rows if row.split == "train"]
    assert any(image["coco_id"] in val_ids for image in listed.values())
    for row in train:
        image = listed.get(row.ids.get("vg", -1), {})
        assert row.ids.get("coco") not in val_ids
        assert image.get("coco_id") not in val_ids
        assert image.get("flickr_id") not in val_flickr_ids
        assert row.flickr_id not in val_flickr_ids


def test_cocos_annotations_are_those_of_the_file(toy_original: Path, toy_dataset: Path) -> None:
    dataset = Dataset.open(str(toy_dataset))
    document = read_json(toy_original / "coco/annotations/instances_val2017.json")
    names = {c["id"]: c["name"] for c in document["categories"]}
    expected: dict[int, list[tuple[Any, ...]]] = {}
    for a in document["annotations"]:
        found = (a["id"], names[a["category_id"]], a["bbox"], a["area"], a["iscrowd"])
        expected.setdefault(a["image_id"], []).append(found)
    for row in (row for row in dataset.rows if row.split == "val"):
        objects = dataset.read_record(row).objects["coco"]
        shown = [(a.id, a.category, list(a.bbox), a.area, a.iscrowd) for a in objects]
        assert shown == expected.get(row.ids["coco"], [])


def test_shards_are_read_by_plain_webdataset(toy_dataset: Path) -> None:
    dataset = Dataset.open(str(toy_dataset))
    urls = [f"{toy_dataset}/{shard.path}" for shard in dataset.manifest.shards]
    samples = list(wds.WebDataset(urls, shardshuffle=False).decode("pil"))
    assert [sample["__key__"] for sample in samples] == [row.key for row in dataset.rows]
    for row, sample in zip(dataset.rows, samples, strict=True):
        assert sample["jpg"].size == (row.width, row.height)
        assert sample["json"]["key"] == row.key
    raw = next(iter(wds.WebDataset(urls[:1], shardshuffle=False)))
    assert decode_record(raw["json"]) == dataset.read_record(dataset.rows[0])


def test_a_limit_takes_so_many_of_each_split(tmp_path: Path, prepare_toy: Prepare) -> None:
    manifest = prepare_toy(tmp_path / "few", limit=5)
    totals = {s: sum(c["photographs"] for c in parts.values()) for s, parts in manifest.counts.items()}
    assert totals == {"train": 5, "val": 5}
    assert manifest.left_out["coco"]["beyond_limit"] > 0
    assert find_problems(str(tmp_path / "few")) == []


def test_an_n_takes_the_most_frequent_synsets(tmp_path: Path, prepare_toy: Prepare) -> None:
    prepare_toy(tmp_path / "few", limit=5, classes=40)
    vocabulary = Dataset.open(str(tmp_path / "few")).vocabulary
    assert all(c.category_id is not None for c in vocabulary.classes[:60])
    rest = [c.synset for c in vocabulary.classes[60:]]
    assert rest == sorted(rest)


def test_more_classes_than_there_are_end_in_one_sentence_and_no_manifest(tmp_path: Path, prepare_toy: Prepare) -> None:
    with pytest.raises(DataError, match=r"--classes 3000: the sources name \d+ synsets"):
        prepare_toy(tmp_path / "none", limit=5, classes=3000)
    assert not (tmp_path / "none/manifest.json").exists()


def test_json_cut_in_the_middle_ends_in_one_sentence_and_nothing_written(tmp_path: Path) -> None:
    write_coco(tmp_path / "coco", [coco_image(1)], [coco_object(1, 1)])
    path = tmp_path / "coco/annotations/instances_train2017.json"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match=r"instances_train2017\.json: the JSON stops in the middle, at byte 200"):
        prepare(PrepareOptions(sources=(f"coco=coco:{tmp_path}/coco",), out=f"{tmp_path}/out"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"classes": 0}, "--classes 0"),
        ({"limit": 0}, "--limit 0"),
        ({"max_rejected": 2.0}, "a fraction"),
        ({"workers": 0}, "at least 1"),
    ],
)
def test_options_out_of_range_are_refused_by_name(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        PrepareOptions(sources=("a=vg:b",), out="out", **options)


def test_the_manifest_tells_neither_time_nor_place(toy_dataset: Path, toy_original: Path) -> None:
    text = (toy_dataset / "manifest.json").read_text()
    assert str(toy_original) not in text
    assert os.uname().nodename not in text
    assert not (toy_dataset / ".prepare").exists()
