"""`NAME=coco:FOLDER` as programs export it: which files, which splits, which images."""

import gzip
import json
from pathlib import Path

import pytest

from data_prep.sources.options import CocoFiles, parse_sources
from data_prep.storage.errors import ConfigError, DataError
from tests.data_prep.small_sources import prepare_plainly
from tests.data_prep.sources.exports import LAYOUTS, document, found, packed, write_tree


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_is_known(tmp_path: Path, layout: str) -> None:
    annotations, images, expected = LAYOUTS[layout]
    root = tmp_path / "export"
    write_tree(root, annotations, images)
    (root / "README.txt").write_text("hello")
    result = found(f"mine=coco:{root}", root)
    assert [(split, file, folder if folder != str(root) else ".") for split, file, folder in result] == expected


def test_a_known_layout_is_prepared_whole(tmp_path: Path) -> None:
    annotations, images, _ = LAYOUTS["Roboflow"]
    write_tree(tmp_path / "export", annotations, images)
    manifest = prepare_plainly(tmp_path / "out", f"mine=coco:{tmp_path}/export")
    assert {split: parts["mine"]["photographs"] for split, parts in manifest.counts.items()} == {
        "train": 1, "val": 1, "test": 1,
    }  # fmt: skip
    assert manifest.rejected == manifest.repaired == {}


def test_an_export_may_be_of_the_split_that_is_said(tmp_path: Path) -> None:
    """As where each split is an export of its own."""
    for name in ("one", "two"):
        write_tree(tmp_path / name, {"annotations/instances_default.json": ["a.jpg"]}, ["images/default/a.jpg"])
    archive = packed(tmp_path / "two", tmp_path / "two.zip")
    for option in (f"mine@val=coco:{tmp_path}/one", f"mine@val=coco:{archive}"):
        assert [files.split for files in parse_sources((option,)) if isinstance(files, CocoFiles)] == ["val"]
    annotations, images, _ = LAYOUTS["Roboflow"]
    write_tree(tmp_path / "export", annotations, images)
    with pytest.raises(ConfigError, match=r"the folder has 3 annotation files; write mine@val=coco:ANNOTATIONS,IMAGES"):
        parse_sources((f"mine@val=coco:{tmp_path}/export",))


def test_the_one_folder_that_is_there_tells_the_split_of_all_in_it(tmp_path: Path) -> None:
    files = [f"val/{task}/annotations/instances_default.json" for task in ("one", "two")]
    write_tree(tmp_path, {file: ["a.jpg"] for file in files}, ["val/one/images/a.jpg", "val/two/images/a.jpg"])
    assert [(split, file) for split, file, _ in found(f"mine=coco:{tmp_path}", tmp_path)] == [
        ("val", file) for file in files
    ]


def test_a_file_that_lists_no_image_beside_others_is_passed_over_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_tree(tmp_path, {"train/labels.json": ["a.jpg"], "test/labels.json": []}, ["train/data/a.jpg"])
    assert [split for split, _, _ in found(f"mine=coco:{tmp_path}", tmp_path)] == ["train"]
    assert f"{tmp_path}/test/labels.json: lists no image, and is passed over" in caplog.text


@pytest.mark.parametrize(
    ("read", "others"),
    [
        ("annotations/instances_train.json", ["annotations/val.json"]),
        ("result.json", ["annotations/train.json", "val.json"]),
        ("train/_annotations.coco.json", ["val/annotations.json", "val/annotations/instances_default.json"]),
    ],
)
def test_files_of_another_layout_are_passed_over_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, read: str, others: list[str]
) -> None:
    write_tree(tmp_path, {file: ["a.jpg"] for file in (read, *others)}, ["train/a.jpg"])
    assert [file for _, file, _ in found(f"mine=coco:{tmp_path}", tmp_path)] == [read]
    told = [record.message for record in caplog.records if "passed over" in record.message]
    assert told == [
        f"{tmp_path}/{file}: is passed over; to read it too, name each file as in "
        f"mine@SPLIT=coco:{tmp_path}/{file},IMAGES"
        for file in others
    ]


def test_other_files_of_coco_and_of_programs_are_not_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = ["annotations/instances_train2017.json", "annotations/person_keypoints_train2017.json"]
    write_tree(tmp_path, {file: ["a.jpg"] for file in files}, ["train2017/a.jpg"])
    (tmp_path / "annotations/notes.json").write_text('{"name": "my-app"}')
    (tmp_path / "annotations/._person_keypoints_val2017.json").write_bytes(b"\0\5\x16\7Mac OS X")
    assert [file for _, file, _ in found(f"mine=coco:{tmp_path}", tmp_path)] == files[:1]
    assert "passed over" not in caplog.text


def test_names_that_begin_with_a_dot_are_no_part_of_a_layout(tmp_path: Path) -> None:
    write_tree(tmp_path, {"export/train/_annotations.coco.json": ["a.jpg"]}, ["export/train/a.jpg"])
    for hidden in (".DS_Store", ".git/config.json", "export/.DS_Store", "export/.ipynb_checkpoints/train.json"):
        (tmp_path / hidden).parent.mkdir(exist_ok=True)
        (tmp_path / hidden).write_bytes(b"\0\0\0\1Bud1")
    assert [file for _, file, _ in found(f"mine=coco:{tmp_path}", tmp_path)] == ["export/train/_annotations.coco.json"]


def test_splits_that_no_name_tells_are_asked_for(tmp_path: Path) -> None:
    write_tree(tmp_path, {"one.json": ["a.jpg"], "two.json": ["a.jpg"]}, ["images/a.jpg"])
    with pytest.raises(DataError, match=r"one\.json: its name says neither .* mine@SPLIT=coco:ANNOTATIONS,IMAGES"):
        parse_sources((f"mine=coco:{tmp_path}",))


VAL = document(["b.jpg"])
UNNAMED = {**VAL, "images": [{"id": 1, "width": 40, "height": 30, "filename": "b.jpg"}]}


@pytest.mark.parametrize(
    ("file", "data", "words"),
    [
        ("val.json", json.dumps(VAL).encode()[:-9], "the JSON stops in the middle"),
        ("val.json", b"", "the file is empty"),
        ("val.json", b"\xff\xfe{\0\0\xd8", "begins as utf-16 text and is not"),
        ("val.json.gz", b"", "the file is empty"),
        ("val.json.gz", gzip.compress(json.dumps(VAL).encode())[:-12], "damaged where it is compressed by gzip"),
        ("val.json", json.dumps({**VAL, "annotations": {"1": VAL["annotations"][0]}}).encode(), "its values as a list"),
        ("val.json", json.dumps({**VAL, "images": {"b.jpg": VAL["images"][0]}}).encode(), "give its values as a list"),
        ("val.json", json.dumps(UNNAMED).encode(), "its image records have no 'file_name'"),
    ],
)
def test_a_file_of_a_layout_that_is_damaged_or_slightly_off_is_not_passed_over(
    tmp_path: Path, file: str, data: bytes, words: str
) -> None:
    write_tree(tmp_path, {"annotations/train.json": ["a.jpg"]}, ["train/a.jpg", "val/b.jpg"])
    (tmp_path / "annotations" / file).write_bytes(data)
    with pytest.raises(DataError, match=f"{file}: .*{words}"):
        parse_sources((f"mine=coco:{tmp_path}",))


@pytest.mark.parametrize(
    "other",
    [
        {"name": "my-app", "scripts": {}},
        {"images": 1, "annotations": 1},
        {"images": {"train": 1, "val": 0}, "annotations": {"train": 1, "val": 0}},
        {"images": {"a.jpg": {"width": 40}}},
        {**VAL, "annotations": [{"id": 1, "image_id": 1, "caption": "a cat"}]},
        {"images": VAL["images"], "categories": VAL["categories"]},
        [{"image_id": 1, "category_id": 1, "bbox": [2, 3, 10, 5], "score": 0.5}],
        [{"id": 1, "data": {"image": "a.jpg"}, "annotations": []}],
        ["cat"],
    ],
)
def test_a_file_of_another_kind_is_passed_over(tmp_path: Path, other: object) -> None:
    write_tree(tmp_path, {"annotations/train.json": ["a.jpg"]}, ["train/a.jpg", "val/b.jpg"])
    (tmp_path / "annotations/other.json").write_text(json.dumps(other))
    assert [file for _, file, _ in found(f"mine=coco:{tmp_path}", tmp_path)] == ["annotations/train.json"]


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"data.yaml": "names: [cat]\n", "labels/a.txt": "0 0.5 0.5 0.1 0.1\n"}, "YOLO's data.yaml"),
        ({"Annotations/a.xml": "<annotation><object/></annotation>", "b": ""}, "a Pascal VOC file"),
        ({f"{n}.json": "{}" for n in range(70)}, "70 JSON files, perhaps one for each image"),
        ({"a.json": '{"shapes": [], "imagePath": "a.jpg"}'}, "labelme's file of one image"),
    ],
)
def test_a_folder_of_another_kind_is_told_with_what_it_holds(tmp_path: Path, files: dict[str, str], words: str) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=r"no instances_\*\.json.*known: COCO's.*mine=coco:ANNOTATIONS,IMAGES") as told:
        parse_sources((f"mine=coco:{tmp_path}",))
    assert words in str(told.value)
