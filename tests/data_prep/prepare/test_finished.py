"""A dataset that is finished is kept at the cost of a few requests, and made anew where a file of it has changed."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from data_prep.prepare.options import PrepareOptions
from data_prep.prepare.prepare import prepare
from data_prep.storage.errors import DataError
from data_prep.storage.storage import list_files, read, write
from tests.data_prep.small_s3 import SmallStore
from tests.data_prep.small_sources import coco_image, coco_object, write_coco
from tests.readme import ROOT

IMAGES = 40  # in two shards


@pytest.fixture
def wanted(tmp_path: Path) -> PrepareOptions:
    """A dataset of small shards on disk."""
    numbers = range(1, IMAGES + 1)
    write_coco(tmp_path / "mine", [coco_image(n) for n in numbers], [coco_object(n, n) for n in numbers])
    return PrepareOptions(sources=(f"mine=coco:{tmp_path}/mine",), out=f"{tmp_path}/dataset")


def in_storage(wanted: PrepareOptions, verify: bool = False) -> PrepareOptions:
    return PrepareOptions(sources=wanted.sources, out="s3://bucket/dataset", verify=verify)


def test_in_object_storage_it_costs_a_few_requests(plain_store: SmallStore, wanted: PrepareOptions) -> None:
    manifest = prepare(in_storage(wanted))
    assert len(manifest.shards) == 2
    plain_store.requests.clear()
    assert prepare(in_storage(wanted)) == manifest
    assert len(plain_store.requests) < 16
    assert plain_store.seen("GET", ".tar") == plain_store.seen("HEAD", ".tar") == []
    plain_store.requests.clear()
    assert prepare(in_storage(wanted, verify=True)) == manifest
    assert len(plain_store.requests) > IMAGES


def test_it_is_found_without_beam(wanted: PrepareOptions) -> None:
    prepare(wanted)
    code = f"""
import sys
from data_prep.prepare.options import PrepareOptions
from data_prep.prepare.prepare import prepare
prepare(PrepareOptions(sources={wanted.sources!r}, out={wanted.out!r}))
print("apache_beam" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_a_shard_that_has_changed_is_written_again(plain_store: SmallStore, wanted: PrepareOptions) -> None:
    manifest = prepare(in_storage(wanted))
    whole = {path: read(f"s3://bucket/dataset/{path}") for path in list_files("s3://bucket/dataset")}
    path = manifest.shards[1].path
    write(f"s3://bucket/dataset/{path}", b"?" + whole[path][1:])
    assert prepare(in_storage(wanted)) == manifest
    assert read(f"s3://bucket/dataset/{path}") == whole[path]
    del plain_store.objects[f"bucket/dataset/{path}"]
    assert prepare(in_storage(wanted)) == manifest
    assert read(f"s3://bucket/dataset/{path}") == whole[path]


def test_a_copy_of_a_dataset_is_hashed_and_kept(wanted: PrepareOptions, caplog: pytest.LogCaptureFixture) -> None:
    manifest = prepare(wanted)
    for path in Path(wanted.out).glob("*/*.tar"):
        os.utime(path, ns=(0, 1))
    caplog.clear()
    assert prepare(wanted) == manifest
    assert "finished already; kept" in caplog.text
    assert all(path.stat().st_mtime_ns == 1 for path in Path(wanted.out).glob("*/*.tar"))


def test_it_is_kept_however_the_paths_of_its_sources_are_written(
    wanted: PrepareOptions, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = Path(wanted.sources[0].partition(":")[2])
    monkeypatch.chdir(folder)
    annotations, images = "annotations/instances_train2017.json", "train2017"
    manifest = prepare(replace(wanted, sources=(f"mine=coco:{annotations},{images}",)))
    (folder.parent / "link").symlink_to(folder)
    for root in (folder, folder.parent / "link", f"{folder}/../mine"):
        caplog.clear()
        assert prepare(replace(wanted, sources=(f"mine=coco:{root}/{annotations},{root}/{images}/",))) == manifest
        assert "finished already; kept" in caplog.text


def test_verifying_finds_what_the_file_system_does_not_tell(wanted: PrepareOptions) -> None:
    manifest = prepare(wanted)
    shard = Path(wanted.out, manifest.shards[0].path)
    whole, found = shard.read_bytes(), shard.stat()
    shard.write_bytes(whole[:700] + b"?" + whole[701:])
    os.utime(shard, ns=(found.st_atime_ns, found.st_mtime_ns))
    prepare(wanted)
    assert shard.read_bytes() != whole
    assert prepare(PrepareOptions(sources=wanted.sources, out=wanted.out, verify=True)) == manifest
    assert shard.read_bytes() == whole


def test_only_tars_of_the_dataset_are_removed_where_it_is_made_anew(wanted: PrepareOptions) -> None:
    prepare(wanted)
    out = Path(wanted.out)
    others = [out / "backup/mine.tar", out / "backup/mine-000000.tar", out / "train/other-000000.tar", out / "a.tar"]
    parts = [out / f"train/.{name}-000001.tar.123.partial" for name in ("mine", "coco+other")]
    strays = [out / "train/mine-000009.tar", *parts]
    for path in (*others, *strays):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"tar")
    image = Path(wanted.sources[0].partition(":")[2], "train2017/000000000001.jpg")
    os.utime(image, ns=(0, 1))
    prepare(wanted)
    assert all(path.exists() for path in others)
    assert not any(path.exists() for path in strays)


def test_shards_of_a_split_that_is_gone_are_removed(tmp_path: Path, wanted: PrepareOptions) -> None:
    write_coco(tmp_path / "mine", [coco_image(900)], [coco_object(900, 900)], "val")
    assert "val/mine-000000.tar" in {shard.path for shard in prepare(wanted).shards}
    (tmp_path / "mine/val2017/000000000900.jpg").unlink()
    assert {shard.split for shard in prepare(wanted).shards} == {"train"}
    assert not Path(wanted.out, "val/mine-000000.tar").exists()


def test_shards_of_an_interrupted_run_from_other_sources_are_removed(tmp_path: Path, wanted: PrepareOptions) -> None:
    write_coco(tmp_path / "more", [coco_image(1)], [coco_object(1, 1)], categories=[{"id": 1, "name": "dog"}])
    both = replace(wanted, sources=(*wanted.sources, f"more=coco:{tmp_path}/more"), classes=3)
    with pytest.raises(DataError, match="--classes 3"):
        prepare(both)
    assert Path(wanted.out, "train/more-000000.tar").exists()
    prepare(wanted)
    assert not Path(wanted.out, "train/more-000000.tar").exists()
