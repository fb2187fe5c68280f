"""`NAME=coco:FOLDER` and `NAME=coco:FILE` as programs export them: which files, which splits, which images."""

import json
import logging
import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest

from data_prep.format.reader import Dataset
from data_prep.prepare.options import PrepareOptions
from data_prep.prepare.prepare import prepare
from data_prep.sources.options import CocoFiles, parse_sources
from data_prep.storage.errors import ConfigError, DataError
from tests.data_prep.small_s3 import SmallStore
from tests.data_prep.small_sources import jpeg, prepare_plainly, vg_image, vg_object, write_vg

Tree = dict[str, list[str]]


@pytest.fixture(autouse=True)
def scratch(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASKX_SCRATCH", str(tmp_path_factory.mktemp("scratch")))


def document(names: list[str]) -> dict[str, Any]:
    return {
        "images": [{"id": n, "width": 40, "height": 30, "file_name": name} for n, name in enumerate(names, 1)],
        "annotations": [
            {"id": n, "image_id": n, "category_id": 1, "bbox": [2, 3, 10, 5], "area": 50}
            for n in range(1, len(names) + 1)
        ],
        "categories": [{"id": 1, "name": "cat"}],
    }


def write_tree(root: Path, annotations: Tree, images: list[str]) -> None:
    """Annotation files that list these names, and images at these paths, all below `root`."""
    for path, names in annotations.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(json.dumps(document(names)))
    for number, path in enumerate(images):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(jpeg(number))


def found(option: str, root: Path) -> list[tuple[str, str, str]]:
    """Split, annotation file and image folder of each file that an option names, below `root`."""
    files = [each for each in parse_sources((option,)) if isinstance(each, CocoFiles)]
    return [(f.split, f.annotations.removeprefix(f"{root}/"), f.images.removeprefix(f"{root}/")) for f in files]


LAYOUTS: dict[str, tuple[Tree, list[str], list[tuple[str, str, str]]]] = {
    "Roboflow": (
        {f"{split}/_annotations.coco.json": [f"{split}.jpg"] for split in ("test", "train", "valid")},
        ["train/train.jpg", "valid/valid.jpg", "test/test.jpg"],
        [
            ("test", "test/_annotations.coco.json", "test"),
            ("train", "train/_annotations.coco.json", "train"),
            ("val", "valid/_annotations.coco.json", "valid"),
        ],
    ),
    "CVAT, one subset": (
        {"annotations/instances_default.json": ["a.jpg"]},
        ["images/default/a.jpg"],
        [("train", "annotations/instances_default.json", "images/default")],
    ),
    "CVAT, images/": (
        {"annotations/instances_Train.json": ["b/a.jpg"], "annotations/instances_Validation.json": ["c/a.jpg"]},
        ["images/b/a.jpg", "images/c/a.jpg"],
        [
            ("train", "annotations/instances_Train.json", "images"),
            ("val", "annotations/instances_Validation.json", "images"),
        ],
    ),
    "CVAT, images of one name in both": (
        {"annotations/instances_train.json": ["1.jpg"], "annotations/instances_val.json": ["1.jpg"]},
        ["images/train/1.jpg", "images/val/1.jpg"],
        [
            ("train", "annotations/instances_train.json", "images/train"),
            ("val", "annotations/instances_val.json", "images/val"),
        ],
    ),
    "Label Studio": ({"result.json": ["images/a.jpg"]}, ["images/a.jpg"], [("train", "result.json", ".")]),
    "Label Studio, \\": (
        {"result.json": ["images\\a b.jpg"]},
        ["images/a b.jpg"],
        [("train", "result.json", "images")],
    ),
    "FiftyOne": ({"labels.json": ["a.jpg"]}, ["data/a.jpg"], [("train", "labels.json", "data")]),
    "FiftyOne, splits": (
        {"train/labels.json": ["a.jpg"], "validation/labels.json": ["a.jpg"]},
        ["train/data/a.jpg", "validation/data/a.jpg"],
        [("train", "train/labels.json", "train/data"), ("val", "validation/labels.json", "validation/data")],
    ),
    "YOLO-style": (
        {"annotations/instances_train2017.json": ["a.jpg"], "annotations/instances_val2017.json": ["a.jpg"]},
        ["images/train2017/a.jpg", "images/val2017/a.jpg"],
        [
            ("train", "annotations/instances_train2017.json", "images/train2017"),
            ("val", "annotations/instances_val2017.json", "images/val2017"),
        ],
    ),
    "MMDetection": (
        {"annotations/my_train.json": ["a.jpg"], "annotations/my_val.json": ["a.jpg"]},
        ["train/a.jpg", "val/a.jpg"],
        [("train", "annotations/my_train.json", "train"), ("val", "annotations/my_val.json", "val")],
    ),
    "a file in each split's folder": (
        {"train/annotation_coco.json": ["a.jpg"], "val/annotation_coco.json": ["b.jpg"]},
        ["train/a.jpg", "val/b.jpg"],
        [("train", "train/annotation_coco.json", "train"), ("val", "val/annotation_coco.json", "val")],
    ),
    "a split without an image": (
        {"annotations/instances_Train.json": ["a.jpg"], "annotations/instances_Test.json": []},
        ["images/Train/a.jpg"],
        [("train", "annotations/instances_Train.json", "images/Train")],
    ),
    "several tasks of CVAT": (
        {f"task_{n}/annotations/instances_default.json": ["a.jpg"] for n in (1, 2)},
        ["task_1/images/default/a.jpg", "task_2/images/default/a.jpg"],
        [("train", f"task_{n}/annotations/instances_default.json", f"task_{n}/images/default") for n in (1, 2)],
    ),
    "one folder deeper": (
        {"export/result.json": ["a.jpg"]},
        ["export/images/a.jpg"],
        [("train", "export/result.json", "export/images")],
    ),
    "a file by itself": ({"boxes.json": ["a.jpg"]}, ["photos/a.jpg"], [("train", "boxes.json", ".")]),
}


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


@pytest.mark.parametrize("images", ["", "images/", "data/", "train/", "ann/"])
def test_a_file_alone_is_looked_for_images_beside_it(tmp_path: Path, images: str) -> None:
    write_tree(tmp_path, {"ann.json": ["a.jpg", "b.jpg"]}, [f"{images}a.jpg", f"{images}b.jpg"])
    expected = f"{tmp_path}/{images}".rstrip("/")
    assert found(f"mine@test-2=coco:{tmp_path}/ann.json", tmp_path / "no") == [
        ("test-2", f"{tmp_path}/ann.json", expected)
    ]


def test_what_was_found_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_tree(tmp_path, {"ann.json": ["a.jpg"]}, ["images/a.jpg"])
    with caplog.at_level(logging.INFO):
        prepare_plainly(tmp_path / "out", f"mine@val=coco:{tmp_path}/ann.json")
    assert caplog.text.count("with the images in") == 1
    assert f"mine: {tmp_path}/ann.json for val, with the images in {tmp_path}/images" in caplog.text


def test_a_file_that_lists_no_image_beside_others_is_passed_over_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_tree(tmp_path, {"train/labels.json": ["a.jpg"], "test/labels.json": []}, ["train/data/a.jpg"])
    assert [split for split, _, _ in found(f"mine=coco:{tmp_path}", tmp_path)] == ["train"]
    assert f"{tmp_path}/test/labels.json: lists no image, and is passed over" in caplog.text


def test_two_folders_with_the_names_are_not_chosen_between(tmp_path: Path) -> None:
    write_tree(tmp_path, {"ann.json": ["a.jpg"]}, ["images/a.jpg", "data/a.jpg"])
    with pytest.raises(DataError, match=r"may be in .*/images or .*/data, .* mine=coco:ANNOTATIONS,IMAGES"):
        parse_sources((f"mine=coco:{tmp_path}/ann.json",))


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["a.jpg"], r"its images \(a\.jpg is the first\) are not in .*; name the folder"),
        (["https://example.org/a.jpg"], r"lists URLs \(https://.*\), which are not read; download"),
        ([], "lists no image with a file_name"),
    ],
)
def test_a_file_alone_whose_images_are_nowhere_near_is_told(tmp_path: Path, names: list[str], words: str) -> None:
    write_tree(tmp_path, {"ann.json": names}, ["images/other.jpg"])
    with pytest.raises(DataError, match=words):
        parse_sources((f"mine=coco:{tmp_path}/ann.json",))


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


def packed(root: Path, archive: Path) -> Path:
    """A zip of all that is below `root`, which is removed."""
    with zipfile.ZipFile(archive, "w") as opened:
        for path in sorted(root.rglob("*")):
            opened.write(path, path.relative_to(root.parent))
        opened.writestr("__MACOSX/._x", "")
    shutil.rmtree(root)
    return archive


def test_a_zip_of_an_export_is_read_as_the_folder_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    annotations, images, _ = LAYOUTS["Roboflow"]
    write_tree(tmp_path / "export", annotations, images)
    prepare_plainly(tmp_path / "folder", f"mine=coco:{tmp_path}/export")
    archive = packed(tmp_path / "export", tmp_path / "My export.ZIP")
    options = PrepareOptions((f"mine=coco:{archive}",), f"{tmp_path}/out")
    manifest = prepare(options)
    assert [shard.sha256 for shard in manifest.shards] == [
        shard.sha256 for shard in Dataset.open(f"{tmp_path}/folder").manifest.shards
    ]
    made = (tmp_path / "out/run.json").stat().st_mtime_ns
    assert json.loads((tmp_path / "out/run.json").read_text())["folders"] == {}
    for folder in Path(os.environ["MASKX_SCRATCH"], "unpacked").glob("[!.]*"):
        shutil.rmtree(folder)  # unpacked again, it is the same: the dataset is kept
    assert prepare(options) == manifest
    assert (tmp_path / "out/run.json").stat().st_mtime_ns == made


def test_a_zip_of_visual_genome_or_in_object_storage_is_read_too(tmp_path: Path, plain_store: SmallStore) -> None:
    write_vg(tmp_path / "vg", [vg_image(9)], {9: [vg_object(7)]})
    archive = packed(tmp_path / "vg", tmp_path / "vg.zip")
    plain_store.objects["bucket/vg.zip"] = archive.read_bytes()
    for number, uri in enumerate((archive, "s3://bucket/vg.zip")):
        manifest = prepare_plainly(tmp_path / f"out-{number}", f"vg=vg:{uri}")
        assert manifest.counts["train"]["vg"]["photographs"] == 1


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


def test_nothing_of_a_zip_is_unpacked_outside_the_scratch_folder(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as opened:
        opened.writestr("../../../../outside.json", "{}")
        opened.writestr("/absolute.json", "{}")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DataError, match=r"evil\.zip, unpacked: no instances_"):
        parse_sources((f"mine=coco:{tmp_path}/evil.zip",))
    assert sorted(tmp_path.rglob("*")) == before


def test_archives_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    write_tree(tmp_path / "export", {"ann.json": ["a.jpg"]}, ["images/a.jpg"])
    archive = packed(tmp_path / "export", tmp_path / "export.zip")
    for name in ("export.tar", "export.7z"):
        (tmp_path / name).write_bytes(b"x")
        with pytest.raises(DataError, match=rf"{name}: an archive; unpack it, and write mine=coco:FOLDER"):
            parse_sources((f"mine=coco:{tmp_path}/{name}",))
    with pytest.raises(DataError, match=r"export\.zip: is a file; unpack it; a folder is wanted"):
        parse_sources((f"mine=coco:{tmp_path}/ann.json,{archive}",))
    with pytest.raises(ConfigError, match="with --runner, unpack the zip where all workers see it"):
        PrepareOptions((f"mine=coco:{archive}",), f"{tmp_path}/out", runner="FlinkRunner")
    archive.write_bytes(archive.read_bytes()[:-30])
    with pytest.raises(DataError, match=r"export\.zip: damaged .*get the file again"):
        parse_sources((f"mine=coco:{archive}",))


def test_a_zip_of_several_files_is_no_annotation_file(tmp_path: Path) -> None:
    write_tree(tmp_path / "export", {"a.json": ["a.jpg"], "b.json": ["a.jpg"]}, [])
    archive = packed(tmp_path / "export", tmp_path / "export.zip")
    (tmp_path / "images").mkdir()
    with pytest.raises(DataError, match=r"export\.zip: a zip that holds 2 JSON files \(export/a\.json.*unpack it"):
        prepare_plainly(tmp_path / "out", f"mine=coco:{archive},{tmp_path}/images")


def test_a_zip_with_one_json_file_is_read(tmp_path: Path) -> None:
    write_tree(tmp_path, {}, ["images/a.jpg"])
    with zipfile.ZipFile(tmp_path / "ann.zip", "w") as archive:
        archive.writestr("train/_annotations.coco.json", json.dumps(document(["a.jpg"])))
        archive.writestr("__MACOSX/train/._annotations.coco.json", "\x00")
    manifest = prepare_plainly(tmp_path / "out", f"mine=coco:{tmp_path}/ann.zip,{tmp_path}/images")
    assert manifest.rejected == {}


@pytest.mark.parametrize("names", [("a.json", "my,pics"), ("a,b.json", "pics"), ("a,b.json", "c,d,e")])
def test_paths_may_have_commas(tmp_path: Path, names: tuple[str, str]) -> None:
    annotations, images = names
    write_tree(tmp_path, {annotations: ["a.jpg"]}, [f"{images}/a.jpg"])
    expected = [("train", annotations, images)]
    assert found(f"mine=coco:{tmp_path}/{annotations},{tmp_path}/{images}", tmp_path) == expected


def test_the_file_may_be_on_disk_and_its_images_in_object_storage(tmp_path: Path, plain_store: SmallStore) -> None:
    write_tree(tmp_path, {"a,b.json": ["a.jpg"]}, [])
    plain_store.objects["bucket/photos/a.jpg"] = jpeg()
    expected = [("train", "a,b.json", "s3://bucket/photos")]
    assert found(f"mine=coco:{tmp_path}/a,b.json,s3://bucket/photos/", tmp_path) == expected
    assert found(f"mine=coco:file://{tmp_path}/a,b.json,s3://bucket/photos", Path(f"file:/{tmp_path}")) != []


def test_a_comma_that_may_be_meant_in_two_ways_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tree(tmp_path, {"a": ["a.jpg"], "a,b": ["a.jpg"]}, ["b,c/a.jpg", "c/a.jpg"])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="whether a and b,c or a,b and c are meant"):
        parse_sources(("mine=coco:a,b,c",))


def test_a_url_is_not_read(tmp_path: Path) -> None:
    for path in ("https://example.org/a.json,images", f"{tmp_path}/a.json,gs://bucket/images", "http://x/y"):
        with pytest.raises(ConfigError, match=r"(https|gs|http)://.* is a URL, which is not read; download it"):
            parse_sources((f"mine=coco:{path}",))


def test_a_folder_for_a_file_is_told(tmp_path: Path) -> None:
    write_tree(tmp_path, {"anns/a.json": ["a.jpg"]}, ["images/a.jpg"])
    with pytest.raises(DataError, match="anns: is a folder, where a file is needed"):
        prepare_plainly(tmp_path / "out", f"mine=coco:{tmp_path}/anns,{tmp_path}/images")
