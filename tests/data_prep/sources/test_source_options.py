"""`--source`: which files it names, and the error when it names none."""

import json
from pathlib import Path

import pytest

from data_prep.sources.options import CocoFiles, VisualGenomeFolder, parse_sources
from data_prep.storage.errors import ConfigError, DataError
from tests.data_prep.small_sources import coco_image, write_coco
from tests.data_prep.sources.exports import found, write_tree


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for split in ("train", "val"):
        write_coco(tmp_path / "coco", [coco_image(1)], [], split)
    return tmp_path


def test_cocos_layout_gives_a_file_for_each_split(folder: Path) -> None:
    files = parse_sources((f"coco=coco:{folder}/coco/",))
    assert [(f.split, f.images) for f in files if isinstance(f, CocoFiles)] == [
        ("train", f"{folder}/coco/train2017"),
        ("val", f"{folder}/coco/val2017"),
    ]


def test_a_single_file_is_of_the_split_that_is_named(folder: Path) -> None:
    place = f"coco:{folder}/coco/annotations/instances_val2017.json,{folder}/coco/val2017"
    train, val = parse_sources((f"mine@train={place}", f"mine@val={place}"))
    assert isinstance(train, CocoFiles)
    assert isinstance(val, CocoFiles)
    assert (train.source, train.split, train.label) == ("mine", "train", "instances_val2017.json")
    assert val.split == "val"


@pytest.mark.parametrize(
    ("name", "said"), [("instances_val2017", "val"), ("validation", "val"), ("test", "test"), ("lvis_v1_val", "val")]
)
@pytest.mark.parametrize("images", ["", ",IMAGES"])
def test_a_file_whose_name_says_that_it_is_held_out_is_for_training_only_if_asked(
    tmp_path: Path, name: str, said: str, images: str
) -> None:
    write_tree(tmp_path, {f"{name}.json": ["a.jpg"]}, ["images/a.jpg"])
    place = f"coco:{tmp_path}/{name}.json{images.replace('IMAGES', f'{tmp_path}/images')}"
    with pytest.raises(ConfigError, match=rf"{name}\.json: its name says {said}; write own@{said}=…, or own@train=…"):
        parse_sources((f"own={place}",))
    for split in ("train", said):
        (files,) = parse_sources((f"own@{split}={place}",))
        assert isinstance(files, CocoFiles)
        assert files.split == split


@pytest.mark.parametrize(
    ("annotations", "images", "folder"),
    [
        ("valid/_annotations.coco.json", "valid", "valid"),
        ("val/annotations/instances_default.json", "val/images", "val/annotations"),
        ("own.json", "val2017", "val2017"),
    ],
)
def test_a_file_whose_folder_or_images_are_called_held_out_is_for_training_only_if_asked(
    tmp_path: Path, annotations: str, images: str, folder: str
) -> None:
    write_tree(tmp_path, {annotations: ["a.jpg"]}, [f"{images}/a.jpg"])
    place = f"coco:{tmp_path}/{annotations},{tmp_path}/{images}"
    with pytest.raises(ConfigError, match=f"{tmp_path}/{folder}: its name says val; write own@val=…, or own@train=…"):
        parse_sources((f"own={place}",))
    (files,) = parse_sources((f"own@train={place}",))
    assert isinstance(files, CocoFiles)
    assert files.split == "train"


@pytest.mark.parametrize("path", [".", "../valid", "../valid/.", "FOLDER/valid"])
def test_a_folder_that_is_called_held_out_is_so(tmp_path: Path, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tree(tmp_path, {"valid/_annotations.coco.json": ["a.jpg"]}, ["valid/a.jpg"])
    monkeypatch.chdir(tmp_path / "valid")
    path = path.replace("FOLDER", str(tmp_path))
    assert [split for split, _, _ in found(f"own=coco:{path}", tmp_path)] == ["val"]
    assert [split for split, _, _ in found(f"own@train=coco:{path}", tmp_path)] == ["train"]
    with pytest.raises(ConfigError, match="its name says val; write own@val="):
        parse_sources((f"own=coco:{path}/_annotations.coco.json",))


def test_a_folder_called_test_may_be_anything(tmp_path: Path) -> None:
    write_tree(tmp_path, {"test/labels.json": ["a.jpg"], "test2017/labels.json": ["a.jpg"]}, ["test/data/a.jpg"])
    assert [split for split, _, _ in found(f"own=coco:{tmp_path}/test", tmp_path)] == ["train"]
    (tmp_path / "test2017/data").symlink_to(tmp_path / "test/data")
    assert [split for split, _, _ in found(f"own=coco:{tmp_path}/test2017", tmp_path)] == ["test"]


def test_images_may_be_named_by_a_file_uri(tmp_path: Path) -> None:
    write_tree(tmp_path, {"own.json": ["a.jpg"]}, ["images/a.jpg"])
    option = f"own=coco:{tmp_path}/own.json,file://{tmp_path}/images/"
    assert found(option, tmp_path) == [("train", "own.json", "images")]


def test_a_file_whose_name_says_no_split_or_two_is_for_training(tmp_path: Path) -> None:
    for name in ("annotations", "train_val", "latest", "test_of_mine/own"):
        write_tree(tmp_path, {f"{name}.json": ["a.jpg"]}, ["images/a.jpg"])
        (files,) = parse_sources((f"own=coco:{tmp_path}/{name}.json,{tmp_path}/images",))
        assert isinstance(files, CocoFiles)
        assert files.split == "train"


def test_coco_2014_is_laid_out_as_2017_is(tmp_path: Path) -> None:
    (tmp_path / "annotations").mkdir()
    for split in ("train", "val"):
        (tmp_path / f"{split}2014").mkdir()
        (tmp_path / f"annotations/instances_{split}2014.json").write_text("{}")
    files = parse_sources((f"coco=coco:{tmp_path}",))
    assert [(f.split, f.images) for f in files if isinstance(f, CocoFiles)] == [
        ("train", f"{tmp_path}/train2014"),
        ("val", f"{tmp_path}/val2014"),
    ]


@pytest.mark.parametrize("place", ["", "annotations/"])
@pytest.mark.parametrize("zipped", ["", ".zip"])
def test_lvis_is_a_folder_with_its_files_and_cocos_images(tmp_path: Path, place: str, zipped: str) -> None:
    (tmp_path / "annotations").mkdir()
    for split in ("train", "val"):
        (tmp_path / f"{place}lvis_v1_{split}.json{zipped}").write_text("{}")
    assert parse_sources((f"lvis=lvis:{tmp_path}/",)) == [
        CocoFiles("lvis", split, str(tmp_path), f"{tmp_path}/{place}lvis_v1_{split}.json", str(tmp_path), "lvis")
        for split in ("train", "val")
    ]


def test_one_file_of_lvis_may_be_named_with_its_split(tmp_path: Path) -> None:
    (tmp_path / "lvis_v1_val.json").write_text("{}")
    (files,) = parse_sources((f"lvis@val=lvis:{tmp_path}/lvis_v1_val.json,{tmp_path}",))
    assert isinstance(files, CocoFiles)
    assert (files.kind, files.split, files.label, files.images) == ("lvis", "val", "lvis_v1_val.json", str(tmp_path))


def test_a_folder_without_lviss_files_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no lvis_v1_train\.json or lvis_v1_val\.json there"):
        parse_sources((f"lvis=lvis:{tmp_path}",))


def test_visual_genome_is_a_folder(folder: Path) -> None:
    assert parse_sources((f"vg=vg:{folder}",)) == [VisualGenomeFolder("vg", str(folder))]


@pytest.mark.parametrize(
    "option",
    [
        "coco",
        "coco=coco",
        "Coco=coco:a",
        "a-b=vg:a",
        "a=lviss:a",
        "a@val=vg:.",
        "=vg:a",
        "a@Te_st=coco:a,b",
        "a@-=coco:a,b",
    ],
)
def test_what_is_not_understood_is_quoted_with_the_forms(option: str) -> None:
    with pytest.raises(ConfigError, match="--source"):
        parse_sources((option,))


def test_no_source_is_refused() -> None:
    with pytest.raises(ConfigError, match="no --source"):
        parse_sources(())


def test_a_missing_folder_is_named(folder: Path) -> None:
    with pytest.raises(DataError, match="nowhere: no such folder"):
        parse_sources((f"coco=coco:{folder}/nowhere",))
    (folder / "empty").mkdir()
    with pytest.raises(DataError, match=r"no instances_\*\.json.*Roboflow.*coco=coco:ANNOTATIONS,IMAGES"):
        parse_sources((f"coco=coco:{folder}/empty",))


def test_a_missing_image_folder_is_named_with_the_file_that_wants_it(folder: Path) -> None:
    document = {"images": [coco_image(7)], "annotations": [], "categories": []}
    (folder / "coco/annotations/instances_train2014.json").write_text(json.dumps(document))
    with pytest.raises(
        DataError, match=r"instances_train2014\.json: its images .* put them into .*/coco/train2014, or"
    ):
        parse_sources((f"coco=coco:{folder}/coco",))


def test_a_split_that_the_name_does_not_tell_is_asked_for(folder: Path) -> None:
    (folder / "coco/annotations/instances_special2014.json").write_text("{}")
    with pytest.raises(DataError, match="neither train nor val"):
        parse_sources((f"coco=coco:{folder}/coco",))


def test_one_name_is_one_source(folder: Path) -> None:
    with pytest.raises(ConfigError, match="two file formats"):
        parse_sources((f"a=coco:{folder}/coco", f"a=vg:{folder}"))
    with pytest.raises(ConfigError, match="two file formats"):
        place = f"{folder}/coco/annotations/instances_val2017.json,{folder}/coco/val2017"
        parse_sources((f"a@val=coco:{place}", f"a@val=lvis:{place}"))
    with pytest.raises(ConfigError, match="two vg folders"):
        parse_sources((f"a=vg:{folder}", f"a=vg:{folder}"))


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("ann.json,images", "has no NAME= before it"),
        ("mine=ann.json,images", "has no file format, such as coco:"),
        ("mine=yolo:labels", "'yolo' is no file format"),
        ("mine=coco:", "names no path"),
        ("my_data=coco:a.json,b", "'my_data' is no name of a source"),
        ("mine@My_val=coco:a.json,b", "'My_val' is no name of a split"),
    ],
)
def test_the_part_of_an_option_that_is_wrong_is_named(option: str, words: str) -> None:
    with pytest.raises(ConfigError, match=f"{words}.*write NAME=coco:FOLDER.*lower-case letters"):
        parse_sources((option,))


def test_a_file_that_is_not_there_is_told_with_those_beside_it(tmp_path: Path) -> None:
    (tmp_path / "anns.json").write_text("{}")
    with pytest.raises(DataError, match=r"ann\.json: no such file, wanted by mine.*; beside it is anns\.json"):
        parse_sources((f"mine=coco:{tmp_path}/ann.json,{tmp_path}",))
