"""Annotation files in the zips that they are published in: the same dataset, and nothing outside the scratch folder."""

import json
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_prep.sources.zips import unpacked
from data_prep.storage.errors import DataError, StorageError
from tests.data_prep.small_sources import (
    coco_image,
    coco_object,
    prepare_plainly,
    vg_image,
    vg_object,
    write_coco,
    write_vg,
)

pytestmark = pytest.mark.usefixtures("scratch")


def pack(archive: Path, files: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(archive, "w", compression) as opened:
        for name, data in files.items():
            opened.writestr(name, data)
    return archive


def move_into_zip(archive: Path, files: dict[str, Path]) -> None:
    pack(archive, {name: path.read_bytes() for name, path in files.items()})
    for path in files.values():
        path.unlink()


@pytest.mark.parametrize("objects_zip", ["objects.json.zip", "objects_v1_2.json.zip"])
@pytest.mark.parametrize("place", [".", "annotations"])
def test_zipped_files_give_the_dataset_that_the_files_give(tmp_path: Path, objects_zip: str, place: str) -> None:
    for split, number in (("train", 1), ("val", 2)):
        write_coco(tmp_path / "coco", [coco_image(number)], [coco_object(number, number)], split)
    write_vg(tmp_path / "vg", [vg_image(9, coco_id=1)], {9: [vg_object(7)]})
    (tmp_path / "vg/object_synsets.json").write_text("{}")
    sources = (f"coco=coco:{tmp_path}/coco", f"vg=vg:{tmp_path}/vg")
    plain = prepare_plainly(tmp_path / "plain", *sources)
    coco = {
        f"annotations/instances_{s}2017.json": tmp_path / f"coco/annotations/instances_{s}2017.json"
        for s in ("train", "val")
    }
    move_into_zip(tmp_path / "coco" / place / "annotations_trainval2017.zip", coco)
    move_into_zip(tmp_path / "vg" / objects_zip, {"objects.json": tmp_path / "vg/objects.json"})
    for name in ("image_data.json", "object_synsets.json"):
        move_into_zip(tmp_path / f"vg/{name}.zip", {name: tmp_path / f"vg/{name}"})
    assert prepare_plainly(tmp_path / "zipped", *sources) == plain


def test_of_a_zip_only_the_splits_whose_images_are_there_are_taken(tmp_path: Path) -> None:
    write_coco(tmp_path / "coco", [coco_image(1)], [])
    file = tmp_path / "coco/annotations/instances_train2017.json"
    pack(tmp_path / "coco/annotations_trainval2017.zip", {f"annotations/{file.name}": file.read_bytes()})
    file.unlink()
    assert list(prepare_plainly(tmp_path / "out", f"coco=coco:{tmp_path}/coco").counts) == ["train"]


def test_a_file_named_alone_may_be_zipped(tmp_path: Path) -> None:
    write_coco(tmp_path / "own", [coco_image(1)], [])
    file = tmp_path / "own/annotations/instances_train2017.json"
    move_into_zip(tmp_path / "own/mine.json.zip", {"mine.json": file})
    manifest = prepare_plainly(tmp_path / "out", f"own=coco:{tmp_path}/own/mine.json,{tmp_path}/own/train2017")
    assert manifest.sources[0].files[0].path == "mine.json"


def test_it_is_unpacked_once_and_again_when_the_zip_has_changed(tmp_path: Path, scratch: Path) -> None:
    archive = pack(tmp_path / "a.json.zip", {"a.json": b"1"})
    first = unpacked(f"{tmp_path}/a.json")
    made = first.stat().st_mtime_ns
    assert (first.read_bytes(), unpacked(f"{tmp_path}/a.json").stat().st_mtime_ns) == (b"1", made)
    pack(archive, {"a.json": b"22"})
    assert unpacked(f"{tmp_path}/a.json").read_bytes() == b"22"
    assert scratch in first.parents


def test_the_file_itself_goes_before_its_zip(tmp_path: Path) -> None:
    pack(tmp_path / "a.json.zip", {"a.json": b"1"})
    (tmp_path / "a.json").write_bytes(b"2")
    assert unpacked(f"{tmp_path}/a.json") == tmp_path / "a.json"


def test_names_in_a_zip_cannot_lead_out(tmp_path: Path, scratch: Path) -> None:
    for number, name in enumerate(("../../a.json", "/a.json", "x/../../../a.json")):
        pack(tmp_path / "a.json.zip", {name: b"%d" % number, "../../evil": b"", f"{tmp_path}/evil": b""})
        assert unpacked(f"{tmp_path}/a.json").read_bytes() == b"%d" % number
    files = {p.name for p in tmp_path.rglob("*") if p.is_file() and p.suffix != ".used"}  # locks of the scratch folder
    assert files == {"a.json.zip", "a.json"}
    assert all(scratch in p.parents for p in tmp_path.rglob("a.json"))


@pytest.mark.parametrize("files", [{}, {"b.json": b""}, {"a.json": b"", "x/a.json": b""}, {"a.json/": b""}])
def test_another_zip_is_refused(tmp_path: Path, files: dict[str, bytes]) -> None:
    pack(tmp_path / "a.json.zip", files)
    with pytest.raises(DataError, match=r"a\.json\.zip: holds \d files named a\.json, one is needed"):
        unpacked(f"{tmp_path}/a.json")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.json: no such file"):
        unpacked(f"{tmp_path}/a.json")


def test_what_does_not_fit_on_the_disk_is_not_begun(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.json.zip", "w") as opened:
        opened.writestr("a.json", b"1")
        opened.filelist[0].file_size = 2**60
    with pytest.raises(StorageError, match=rf"a\.json: needs {2**60} bytes below .*MASKX_SCRATCH"):
        unpacked(f"{tmp_path}/a.json")


@given(
    st.data(),
    st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]),
)
@settings(suppress_health_check=list(HealthCheck), max_examples=300, deadline=None)
def test_a_damaged_zip_is_named_or_gives_what_was_packed(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, compression: int
) -> None:
    folder = tmp_path_factory.mktemp("zips")
    whole = json.dumps(list(range(200))).encode()
    archive = pack(folder / "a.json.zip", {"a.json": whole}, compression)
    damaged = bytearray(archive.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    archive.write_bytes(damaged[: data.draw(st.integers(1, len(damaged)))])
    try:
        assert unpacked(f"{folder}/a.json").read_bytes() == whole
    except DataError as error:
        assert "a.json.zip: " in str(error)
