"""Which code made a model is recorded, and a release that may give another result is told."""

import logging
import re
from importlib.metadata import version
from pathlib import Path

import pytest

from data_prep.format.reader import Dataset
from data_prep.storage.errors import CheckpointError
from maskx_model.artifacts import code_versions as module
from maskx_model.artifacts.code_versions import code_versions
from maskx_model.artifacts.model_folder import read_model_manifest
from maskx_model.artifacts.origin import Origin, check_same_origin, patched, release
from maskx_model.training.stages import train_detector
from tests.maskx_model.tiny_presets import tiny

MADE_BY: Origin = {"seed": 0, "maskx": "0.1.0", "torch": "2.14.0+cu126", "commit": "a"}


def test_a_model_says_which_code_made_it_and_another_patch_need_not_train_it_anew(
    toy_dataset: Dataset, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train_detector(toy_dataset.uri, str(tmp_path), tiny(1))
    made_from = read_model_manifest(str(tmp_path)).made_from
    assert made_from["torch"] == version("torch") and made_from["maskx"] == version("maskx")
    assert made_from["commit"] is None or re.fullmatch(r"[0-9a-f]{40}", str(made_from["commit"]))
    manifest = tmp_path / "manifest.json"
    text = manifest.read_text()
    manifest.write_text(text.replace(f'"torch": "{version("torch")}"', f'"torch": "{release(version("torch"))}.99"'))
    caplog.clear()
    with caplog.at_level(logging.INFO):
        train_detector(toy_dataset.uri, str(tmp_path), tiny(1))
    assert f"made by torch {release(version('torch'))}.99, now {version('torch')}: of the same minor" in caplog.text
    manifest.write_text(text.replace(f'"torch": "{version("torch")}"', '"torch": "1.2.3"'))
    with pytest.raises(CheckpointError, match=r"a training that differs in torch \(1\.2\.3, now .*; choose another"):
        train_detector(toy_dataset.uri, str(tmp_path), tiny(1))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, []),
        ({"commit": "b"}, []),
        ({"torch": "2.14.1"}, ["torch 2.14.0+cu126, now 2.14.1"]),
        ({"maskx": "0.1.7"}, ["maskx 0.1.0, now 0.1.7"]),
    ],
)
def test_commits_patches_and_builds_give_the_same_result(change: Origin, told: list[str]) -> None:
    check_same_origin("this is", MADE_BY, {**MADE_BY, **change})
    assert patched(MADE_BY, {**MADE_BY, **change}) == told


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"torch": "2.15.0"}, r"differs in torch \(2.14.0\+cu126, now 2.15.0\); choose"),
        ({"maskx": "1.0", "seed": 2}, r"differs in seed, maskx \(0.1.0, now 1.0\); choose"),
    ],
)
def test_another_minor_release_is_another_training(change: Origin, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        check_same_origin("this is", MADE_BY, {**MADE_BY, **change})


def test_a_model_from_before_versions_were_recorded_is_kept() -> None:
    check_same_origin("this is", {"seed": 0}, MADE_BY)


def test_the_commit_is_the_environment_s_where_there_is_no_repository(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(module, "__file__", str(tmp_path / "maskx_model" / "artifacts" / "code_versions.py"))
    for named, expected in (("", None), ("0123abc", "0123abc")):
        monkeypatch.setenv("MASKX_COMMIT", named)
        code_versions.cache_clear()
        assert code_versions()["commit"] == expected
    code_versions.cache_clear()
