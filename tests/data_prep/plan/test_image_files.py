"""Images whose names are not their files' names: found, counted by rule, or rejected with what was looked for."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from data_prep.format.manifest import Manifest
from data_prep.format.reader import Dataset
from data_prep.plan.planning import make_plan
from data_prep.sources.options import parse_sources
from data_prep.storage.errors import DataError
from tests.data_prep.rejects import read_rejects
from tests.data_prep.small_s3 import SmallStore
from tests.data_prep.small_sources import coco_image, coco_object, jpeg, prepare_plainly, write_coco


def prepared(tmp_path: Path, names: list[str], moves: dict[str, str] | None = None) -> Manifest:
    """A dataset of images listed by these names, whose files are in `train2017/`, named by number."""
    folder = tmp_path / "coco"
    write_coco(folder, [coco_image(number) for number in range(1, len(names) + 1)], [])
    for old, new in (moves or {}).items():
        target = folder / "train2017" / new
        target.parent.mkdir(parents=True, exist_ok=True)
        (folder / "train2017" / old).rename(target)
    images: list[Any] = [coco_image(number, file_name=name) for number, name in enumerate(names, 1)]
    path = folder / "annotations/instances_train2017.json"
    document = {
        "images": images,
        "annotations": [coco_object(number, number) for number in range(1, len(names) + 1)],
        "categories": [{"id": 1, "name": "cat"}],
    }
    path.write_text(json.dumps(document))
    return prepare_plainly(tmp_path / "out", f"coco=coco:{folder}")


def test_each_rule_is_counted_and_the_images_are_used(tmp_path: Path) -> None:
    names = ["000000000001.jpg", "train2017/000000000002.jpg", "000000000003.JPG", "x\\000000000004.jpg"]
    manifest = prepared(tmp_path, names, {"000000000004.jpg": "x/000000000004.jpg"})
    assert manifest.repaired == {"coco": {"file_name_folder": 1, "file_name_case": 1, "file_name_backslash": 1}}
    assert manifest.rejected == {}
    assert len(list(Dataset.open(f"{tmp_path}/out").rows)) == 4


def test_names_with_blanks_around_them_or_a_query_behind_are_found(tmp_path: Path) -> None:
    names = ["000000000001.jpg ", " 000000000002.jpg\r\n", "000000000003.jpg?w=40&h=30", "000000000004.jpg#top"]
    manifest = prepared(tmp_path, names)
    assert manifest.repaired == {"coco": {"file_name_blanks": 2, "file_name_query": 2}}
    assert manifest.rejected == {}


def test_two_queries_of_a_file_may_be_two_images(tmp_path: Path) -> None:
    names = [*(f"00000000000{n}.jpg" for n in range(1, 9)), "000000000009.jpg?v=1", "000000000009.jpg?v=2"]
    assert prepared(tmp_path, names).rejected == {"coco": {"missing_file": 2}}


def test_a_name_that_several_files_have_is_told_with_their_folders(tmp_path: Path) -> None:
    moves = {"000000000002.jpg": "a/same.jpg", "000000000003.jpg": "b/same.jpg"}
    prepared(tmp_path, ["000000000001.jpg", "same.jpg", "000000000001.jpg"], moves)
    (reject,) = read_rejects(f"{tmp_path}/out/rejects.parquet")
    assert "2 files below train2017/ are so named (a/same.jpg and b/same.jpg); list the folder too" in reject.excerpt


def test_a_file_by_its_last_part_is_not_given_to_two_images(tmp_path: Path) -> None:
    names = ["000000000001.jpg", "a/000000000001.jpg", "b/000000000003.jpg", "c/000000000003.jpg", "d/000000000005.jpg"]
    manifest = prepared(tmp_path, names)
    assert manifest.rejected == {"coco": {"missing_file": 3}}
    assert manifest.repaired == {"coco": {"file_name_base": 1}}
    rejects = read_rejects(f"{tmp_path}/out/rejects.parquet")
    assert {reject.id for reject in rejects} == {2, 3, 4}
    assert all("other names may mean it too" in reject.excerpt for reject in rejects)


def test_an_image_that_is_not_in_its_folder_is_not_taken_from_another(tmp_path: Path) -> None:
    moves = {"000000000001.jpg": "train/1.jpg", "000000000002.jpg": "val/2.jpg"}
    manifest = prepared(tmp_path, ["train/1.jpg", "train/2.jpg"], moves)
    assert manifest.repaired == {}
    (reject,) = read_rejects(f"{tmp_path}/out/rejects.parquet")
    assert (reject.reason, reject.id) == ("missing_file", 2)
    assert "no such file below train2017/; val/2.jpg is in another folder than it says" in reject.excerpt


@pytest.mark.parametrize(
    "second",
    ["./000000000001.jpg", ".//000000000001.jpg", "000000000001.JPG", "./000000000001.JPG", "x/../000000000001.jpg"],
)
def test_two_spellings_of_a_file_are_one_image(tmp_path: Path, second: str) -> None:
    manifest = prepared(tmp_path, ["000000000001.jpg", second])
    (row,) = Dataset.open(f"{tmp_path}/out").rows
    assert row.key == "coco-000000000001"
    assert len(Dataset.open(f"{tmp_path}/out").read_record(row).objects["coco"]) == 2
    assert (manifest.left_out, manifest.rejected) == ({"coco": {"same_file": 1}}, {})


def test_two_spellings_that_are_both_found_by_the_ladder_are_one_image(tmp_path: Path) -> None:
    manifest = prepared(
        tmp_path, ["000000000001.JPG", "./000000000001.jpG", f"{tmp_path}/coco/train2017/000000000001.jpg"]
    )
    assert len(Dataset.open(f"{tmp_path}/out").rows) == 1
    assert (manifest.left_out, manifest.rejected) == ({"coco": {"same_file": 2}}, {})


def test_names_in_two_cases_with_two_sizes_are_two_images_of_which_one_is_lost(tmp_path: Path) -> None:
    write_coco(tmp_path / "coco", [coco_image(1)], [])
    listed = [coco_image(1), coco_image(2, file_name="000000000001.JPG", width=39)]
    path = tmp_path / "coco/annotations/instances_train2017.json"
    path.write_text(json.dumps({"images": listed, "annotations": [], "categories": [{"id": 1, "name": "cat"}]}))
    manifest = prepare_plainly(tmp_path / "out", f"coco=coco:{tmp_path}/coco")
    assert manifest.rejected == {"coco": {"missing_file": 1}}


def test_another_spelling_in_another_split_is_held_out(tmp_path: Path) -> None:
    write_coco(tmp_path, [coco_image(1), coco_image(2)], [])
    for split, names in (("train", ["./000000000001.JPG", "000000000002.jpg"]), ("val", ["000000000001.jpg"])):
        images = [coco_image(number, file_name=name) for number, name in enumerate(names, 1)]
        document = {"images": images, "annotations": [], "categories": [{"id": 1, "name": "cat"}]}
        (tmp_path / f"{split}.json").write_text(json.dumps(document))
    sources = [f"mine@{split}=coco:{tmp_path}/{split}.json,{tmp_path}/train2017" for split in ("train", "val")]
    manifest = prepare_plainly(tmp_path / "out", *sources)
    assert {row.split: row.key for row in Dataset.open(f"{tmp_path}/out").rows} == {
        "train": "mine-000000000002", "val": "mine-000000000001",
    }  # fmt: skip
    assert manifest.left_out["mine"] == {"val_in_train": 1}
    assert [held.by for held in manifest.held_out] == ["file"]


def test_object_storage_is_listed_once_whatever_the_names_are(tmp_path: Path, plain_store: SmallStore) -> None:
    write_coco(tmp_path, [coco_image(1), coco_image(2)], [])
    for number in (1, 2):
        plain_store.objects[f"bucket/photos/a/{number}.jpg"] = jpeg(number)
    names = ["a/1.JPG", "photos/A/2.jpg", "./a/1.jpg", "nowhere.jpg", "a/2.jpg"]
    images = [coco_image(number, file_name=name) for number, name in enumerate(names, 1)]
    document = {"images": images, "annotations": [], "categories": [{"id": 1, "name": "cat"}]}
    (tmp_path / "own.json").write_text(json.dumps(document))
    sources = parse_sources((f"mine=coco:{tmp_path}/own.json,s3://bucket/photos",))
    before = len(plain_store.requests)
    planned, contents = make_plan("unwritten", sources, 1 << 20, None)
    assert sum(map(len, contents.images)) == 2
    assert [reject.reason for reject in planned.counts.rejects] == ["missing_file", "missing_file"]
    listings = [request for request in plain_store.requests[before:] if "prefix" in request.query]
    assert [request.query["prefix"] for request in listings] == [["photos/"]]


def test_an_absolute_path_is_used_and_no_other_folder_is_named_in_the_dataset(tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    manifest = prepared(
        tmp_path, ["000000000001.jpg", f"{tmp_path}/secret/2.jpg"], {"000000000002.jpg": "../../secret/2.jpg"}
    )
    assert manifest.repaired == {"coco": {"file_name_absolute": 1}}
    assert {row.key for row in Dataset.open(f"{tmp_path}/out").rows} == {"coco-000000000001", "coco-000000000002"}


@pytest.mark.parametrize(
    ("name", "reason", "words"),
    [
        ("https://example.org/1.jpg", "missing_file", "https://example.org/1.jpg: URLs are not read; download"),
        ("nowhere.jpg", "missing_file", "nowhere.jpg: no such file below train2017/"),
        ("000000000002.png", "missing_file", "no such file below train2017/; 000000000002.jpg has another extension"),
        ("/nowhere/x.jpg", "missing_file", "/nowhere/x.jpg: no file at this absolute path"),
        ("../x.jpg", "bad_file_name", "../x.jpg: it leads out of train2017/"),
        ("", "bad_file_name", "it is empty"),
    ],
)
def test_what_is_not_found_is_rejected_with_its_name_and_the_remedy(
    tmp_path: Path, name: str, reason: str, words: str
) -> None:
    manifest = prepared(tmp_path, ["000000000001.jpg", name])
    (reject,) = read_rejects(f"{tmp_path}/out/rejects.parquet")
    assert (reject.reason, manifest.rejected) == (reason, {"coco": {reason: 1}})
    assert words in reject.excerpt


def test_a_refusal_shows_a_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"missing_file 1× \(as in .*https://example\.org/1\.jpg: URLs are not read"):
        prepared(tmp_path, ["https://example.org/1.jpg"])


def test_names_that_are_no_utf_8_are_told(tmp_path: Path) -> None:
    """As in zips that were made on Windows and unpacked on Linux."""
    names = ["000000000001.jpg", "bilder_\u00e4/p0.jpg"]
    manifest = prepared(tmp_path, names, {"000000000002.jpg": os.fsdecode(b"bilder_\xe4/p0.jpg")})
    assert manifest.rejected == {"coco": {"missing_file": 1}}
    (row,) = read_rejects(f"{tmp_path}/out/rejects.parquet")
    assert row.excerpt.startswith(f"{names[1]}: no such file below train2017/")
    assert row.excerpt.endswith("; 1 names there are no UTF-8: rename the files")
