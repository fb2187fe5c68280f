"""`NAME=coco:FOLDER` as programs export it: which files, which splits, which images."""

from pathlib import Path

import pytest

from data_prep.sources.options import CocoFiles, parse_sources
from data_prep.storage.errors import ConfigError, DataError
from tests.data_prep.small_sources import prepare_plainly
from tests.data_prep.sources.exports import LAYOUTS, found, packed, write_tree


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


def test_a_file_that_lists_no_image_beside_others_is_passed_over_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_tree(tmp_path, {"train/labels.json": ["a.jpg"], "test/labels.json": []}, ["train/data/a.jpg"])
    assert [split for split, _, _ in found(f"mine=coco:{tmp_path}", tmp_path)] == ["train"]
    assert f"{tmp_path}/test/labels.json: lists no image, and is passed over" in caplog.text


def test_splits_that_no_name_tells_are_asked_for(tmp_path: Path) -> None:
    write_tree(tmp_path, {"one.json": ["a.jpg"], "two.json": ["a.jpg"]}, ["images/a.jpg"])
    with pytest.raises(DataError, match=r"one\.json: its name says neither .* mine@SPLIT=coco:ANNOTATIONS,IMAGES"):
        parse_sources((f"mine=coco:{tmp_path}",))


def test_a_damaged_file_of_a_layout_is_not_passed_over(tmp_path: Path) -> None:
    annotations = {"annotations/train.json": ["a.jpg"], "annotations/val.json": ["b.jpg"]}
    write_tree(tmp_path, annotations, ["train/a.jpg", "val/b.jpg"])
    path = tmp_path / "annotations/train.json"
    path.write_text(path.read_text()[:-9])
    with pytest.raises(DataError, match=r"train\.json: the JSON stops in the middle"):
        parse_sources((f"mine=coco:{tmp_path}",))


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
