"""Model folders: whole and unchanged, or a sentence that says what is wrong."""

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import torch

from data_prep.storage.errors import CheckpointError
from data_prep.storage.storage import sha256
from maskx_model.artifacts.model_folder import (
    is_finished,
    load_model,
    model_hash,
    read_model_config,
    read_model_manifest,
    save_model,
)
from maskx_model.artifacts.tensors import load_tensors
from maskx_model.config import MaskKind
from tests.maskx_model.samples import busy_samples
from tests.maskx_model.synthetic_dataset import write_model

NAMES = ["cup", "tree"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(write_model(tmp_path / "model", NAMES, "transfer", mask_classes=(1,)))


@pytest.mark.parametrize("kind", ["transfer", "class_agnostic", "class_specific", None])
def test_a_model_comes_back_as_it_was_saved(tmp_path: Path, kind: MaskKind | None) -> None:
    write_model(tmp_path / "first", NAMES, kind)
    loaded = load_model(f"file://{tmp_path}/first")
    save_model(
        f"{tmp_path}/second", loaded, {"seed": 0, "kind": kind}, Path(tmp_path, "first/metrics.jsonl").read_bytes()
    )
    assert model_hash(f"{tmp_path}/first") == model_hash(f"{tmp_path}/second")
    again = load_model(f"{tmp_path}/second")
    assert (again.config, again.vocabulary, again.mask_classes) == (
        loaded.config,
        loaded.vocabulary,
        loaded.mask_classes,
    )
    assert not again.model.training
    images = [sample.image_tensor() for sample in busy_samples(0)]
    for ours, theirs in zip(again.model(images), loaded.model(images), strict=True):
        assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


def test_a_model_is_finished_for_what_it_was_made_from_only(folder: Path) -> None:
    assert is_finished(str(folder), {"seed": 0, "kind": "transfer"})
    with pytest.raises(CheckpointError, match="model: holds a model of a training that differs in kind, seed; choose"):
        is_finished(str(folder), {"seed": 1, "kind": "class_agnostic"})
    assert not is_finished(f"{folder}/elsewhere", {"seed": 0, "kind": "transfer"})


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "vocabulary.json", "metrics.jsonl"])
def test_a_file_that_was_cut_or_is_missing_is_named(folder: Path, name: str) -> None:
    file = folder / name
    file.write_bytes(file.read_bytes()[:-3])
    with pytest.raises(CheckpointError, match=f"{name}: missing or changed since the model was saved"):
        load_model(str(folder))
    file.unlink()
    with pytest.raises(CheckpointError, match=f"{name}: missing or changed since the model was saved"):
        load_model(str(folder))


@pytest.mark.parametrize("text", [b"", b'{"made_from": {', b"[]", b"\xff\xfe", b'{"made_from":{"\xf3eed":0}}'])
def test_a_damaged_manifest_is_named(folder: Path, text: bytes) -> None:
    (folder / "manifest.json").write_bytes(text)
    for use in (load_model, model_hash, read_model_manifest):
        with pytest.raises(CheckpointError, match=r"manifest.json: not a model's manifest"):
            use(str(folder))


def test_a_folder_without_a_manifest_is_no_model(folder: Path) -> None:
    (folder / "manifest.json").unlink()
    with pytest.raises(CheckpointError, match=r"no manifest.json, so no finished model; run `maskx train`"):
        load_model(str(folder))


def test_a_configuration_with_a_flipped_bit_is_named(folder: Path) -> None:
    config = folder / "config.json"
    config.write_bytes(config.read_bytes().replace(b'"slim"', b'"\xf3lim"'))
    with pytest.raises(CheckpointError, match=r"config\.json: written by another version of maskx"):
        read_model_config(str(folder))


def test_a_model_of_another_version_is_said_to_be_one(folder: Path) -> None:
    config = folder / "config.json"
    config.write_bytes(config.read_bytes().replace(b'"slim"', b'"swin"'))
    manifest = read_model_manifest(str(folder))
    files = {**manifest.files, "config.json": sha256(config)}
    (folder / "manifest.json").write_bytes(msgspec.json.encode(msgspec.structs.replace(manifest, files=files)))
    with pytest.raises(CheckpointError, match=r"config.json: written by another version of maskx"):
        load_model(str(folder))


@pytest.mark.parametrize("content", [b"", b"\x08\0\0\0\0\0\0\0{}", b"\xff" * 64])
def test_bytes_that_are_no_tensors_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"x.safetensors: not a readable safetensors file"):
        load_tensors(f"{tmp_path}/x.safetensors")


def test_a_model_that_fails_to_be_saved_over_another_leaves_no_finished_one(folder: Path) -> None:
    loaded = load_model(str(folder))
    with pytest.raises(TypeError):
        save_model(str(folder), replace(loaded, mask_classes=(object(),)), {"seed": 2})  # type: ignore[arg-type]
    with pytest.raises(CheckpointError, match="so no finished model"):
        load_model(str(folder))
