"""When a pipeline run has nothing to do: what counts as a change."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from maskx_model.artifacts.code_versions import code_versions
from maskx_model.preflight.fingerprint import fingerprint
from maskx_model.preflight.original_data import bytes_of, inventory_of
from maskx_model.presets import get_preset
from maskx_model.run_config import RunConfig


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "vg" / "VG_100K").mkdir(parents=True)
    (tmp_path / "vg" / "objects.json").write_text("[1, 2, 3]")
    (tmp_path / "vg" / "VG_100K" / "1.jpg").write_bytes(b"12345")
    return tmp_path / "vg"


def of(folder: Path, run: RunConfig | None = None) -> str:
    from data_prep.sources.options import parse_sources

    found = inventory_of(parse_sources((f"vg=vg:{folder}",)))
    return fingerprint(run or get_preset("toy"), {"vg": found})


def test_the_same_files_settings_and_code_have_the_same_fingerprint(folder: Path, tmp_path: Path) -> None:
    assert of(folder) == of(folder)
    before = of(folder)
    (tmp_path / "elsewhere").mkdir()
    folder.rename(tmp_path / "elsewhere" / "vg")
    assert of(tmp_path / "elsewhere" / "vg") == before


def test_annotations_count_by_their_content(folder: Path) -> None:
    before, file = of(folder), folder / "objects.json"
    os.utime(file, (1, 1))
    assert of(folder) == before
    file.write_text("[1, 2, 4]")
    assert of(folder) != before


def test_images_count_by_size_and_time_of_change(folder: Path) -> None:
    before, image = of(folder), folder / "VG_100K" / "1.jpg"
    os.utime(image, (1, 1))
    assert of(folder) != before
    before = of(folder)
    (folder / "VG_100K" / "2.jpg").touch()
    assert of(folder) != before


def test_every_setting_counts(folder: Path) -> None:
    assert of(folder, replace(get_preset("toy"), seed=1)) != of(folder)
    assert of(folder, get_preset("real_sample")) != of(folder)


def test_a_file_of_classes_counts_by_its_content(folder: Path, tmp_path: Path) -> None:
    classes = tmp_path / "a.txt"
    classes.write_text("dog\n")
    run = replace(get_preset("toy"), mask_classes=str(classes))
    before = of(folder, run)
    classes.write_text("dog\ncat\n")
    assert of(folder, run) != before


def test_another_release_of_the_code_counts_and_a_patch_does_not(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, known = of(folder), code_versions()
    release = ".".join(str(known["torch"]).split(".")[:2])
    for version, same in ((f"{release}.99", True), ("99.0.0", False)):
        monkeypatch.setattr(
            "maskx_model.artifacts.code_versions.code_versions", lambda version=version: {**known, "torch": version}
        )
        assert (of(folder) == before) == same


def test_files_in_two_folders_of_a_source_count_once(folder: Path) -> None:
    from data_prep.sources.options import CocoFiles

    parts = [
        CocoFiles("vg", split, str(folder), str(folder / "objects.json"), str(folder)) for split in ("train", "val")
    ]
    parts.append(CocoFiles("vg", "more", str(folder), str(folder / "objects.json"), str(folder / "VG_100K")))
    found = inventory_of(list(parts))
    assert set(found) == {"0/objects.json", "0/VG_100K/1.jpg"}
    assert bytes_of(found) == len("[1, 2, 3]") + 5
