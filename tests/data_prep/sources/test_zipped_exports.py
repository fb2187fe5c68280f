"""An export in a zip is read as its folder is; what cannot be read of an archive is told."""

import json
import os
import re
import shutil
import zipfile
from pathlib import Path

import pytest

from data_prep.format.reader import Dataset
from data_prep.prepare.options import PrepareOptions
from data_prep.prepare.prepare import prepare
from data_prep.sources.options import parse_sources
from data_prep.storage.errors import ConfigError, DataError
from tests.data_prep.small_s3 import SmallStore
from tests.data_prep.small_sources import prepare_plainly, vg_image, vg_object, write_vg
from tests.data_prep.sources.exports import LAYOUTS, document, found, packed, write_tree


@pytest.fixture(autouse=True)
def scratch(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASKX_SCRATCH", str(tmp_path_factory.mktemp("scratch")))


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


def test_files_in_zips_of_one_name_are_called_by_the_zips_folders(tmp_path: Path) -> None:
    archives = []
    for job in ("job1", "job2"):
        write_tree(tmp_path / job / "export", {"ann.json": ["a.jpg"]}, ["images/a.jpg"])
        archives.append(packed(tmp_path / job / "export", tmp_path / job / "export.zip"))
    manifest = prepare_plainly(tmp_path / "out", *(f"mine=coco:{archive}" for archive in archives))
    paths = [file.path for file in manifest.sources[0].files]
    assert paths == [f"{job}/export.zip/export/ann.json" for job in ("job1", "job2")]


def test_a_zip_of_visual_genome_or_in_object_storage_is_read_too(tmp_path: Path, plain_store: SmallStore) -> None:
    write_vg(tmp_path / "vg", [vg_image(9)], {9: [vg_object(7)]})
    archive = packed(tmp_path / "vg", tmp_path / "vg.zip")
    plain_store.objects["bucket/vg.zip"] = archive.read_bytes()
    for number, uri in enumerate((archive, "s3://bucket/vg.zip")):
        manifest = prepare_plainly(tmp_path / f"out-{number}", f"vg=vg:{uri}")
        assert manifest.counts["train"]["vg"]["photographs"] == 1


def test_nothing_of_a_zip_is_unpacked_outside_the_scratch_folder(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as opened:
        opened.writestr("../../../../outside.json", "{}")
        opened.writestr("/absolute.json", "{}")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DataError, match=r"evil\.zip, unpacked: no instances_"):
        parse_sources((f"mine=coco:{tmp_path}/evil.zip",))
    assert sorted(tmp_path.rglob("*")) == before


def test_a_zip_whose_files_have_no_date_is_read(tmp_path: Path) -> None:
    """Some programs write a month and a day of 0 where no time is set."""
    write_tree(tmp_path / "export", *LAYOUTS["FiftyOne"][:2])
    archive = packed(tmp_path / "export", tmp_path / "export.zip")
    data = bytearray(archive.read_bytes())
    for mark, place in ((b"PK\3\4", 10), (b"PK\1\2", 12)):  # the time and date in a file's two headers
        for header in re.finditer(re.escape(mark), bytes(data)):
            data[header.start() + place : header.start() + place + 4] = bytes(4)
    archive.write_bytes(data)
    assert {member.date_time[:3] for member in zipfile.ZipFile(archive).infolist()} == {(1980, 0, 0)}
    assert [split for split, _, _ in found(f"mine=coco:{archive}", tmp_path)] == ["train"]


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
