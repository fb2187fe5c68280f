"""Backbones, and the one door through which weights from outside come in."""

import io
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from torchvision.models import resnet50
from torchvision.ops import FrozenBatchNorm2d

from data_prep.storage.errors import CheckpointError, ConfigError
from maskx_model.config import DetectorConfig
from maskx_model.model.backbones import build_backbone, load_pth


class Trap:
    """Unpickled, it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.mkdir, (self.folder,)


def write_trap(file: Path, folder: Path, legacy: bool) -> None:
    state = {"conv1.weight": torch.zeros(2), "extra": Trap(folder)}
    torch.save(state, file, _use_new_zipfile_serialization=not legacy)


def test_the_trap_works_where_code_is_allowed(tmp_path: Path) -> None:
    write_trap(tmp_path / "x.pth", tmp_path / "trapped", legacy=False)
    torch.load(tmp_path / "x.pth", weights_only=False)
    assert (tmp_path / "trapped").exists()


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "plain pickle"])
def test_code_in_a_pth_file_is_refused_and_not_run(tmp_path: Path, legacy: bool) -> None:
    write_trap(tmp_path / "x.pth", tmp_path / "trapped", legacy)
    with pytest.raises(CheckpointError, match=r"x.pth: holds more than tensors, so it is not loaded"):
        load_pth(f"{tmp_path}/x.pth")
    assert not (tmp_path / "trapped").exists()


def test_code_in_a_bare_pickle_is_refused_and_not_run(tmp_path: Path) -> None:
    (tmp_path / "x.pth").write_bytes(pickle.dumps(Trap(tmp_path / "trapped"), protocol=2))
    with pytest.raises(CheckpointError, match=r"x.pth"):
        load_pth(f"{tmp_path}/x.pth")
    assert not (tmp_path / "trapped").exists()


@pytest.mark.parametrize("content", [b"", b"no pickle at all", b"PK\x03\x04 cut"])
def test_other_bytes_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.pth").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"x.pth"):
        load_pth(f"{tmp_path}/x.pth")


@pytest.mark.parametrize("content", [torch.zeros(3), [torch.zeros(3)], {"epoch": 3}])
def test_tensors_without_names_are_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match=r"x.pth: not a dictionary of named tensors"):
        load_pth(f"{tmp_path}/x.pth")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"nowhere.pth"):
        load_pth(f"{tmp_path}/nowhere.pth")


def test_a_resnet_starts_from_a_local_file(tmp_path: Path) -> None:
    torch.manual_seed(0)
    state = resnet50(weights=None, norm_layer=FrozenBatchNorm2d).state_dict()
    torch.save(OrderedDict(state), tmp_path / "r50.pth")
    config = DetectorConfig(weights=f"{tmp_path}/r50.pth")
    backbone = build_backbone(config, load_weights=True).state_dict()
    assert torch.equal(backbone["body.layer4.2.conv3.weight"], state["layer4.2.conv3.weight"])
    other = build_backbone(config, load_weights=False).state_dict()
    assert not torch.equal(other["body.layer4.2.conv3.weight"], state["layer4.2.conv3.weight"])


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    torch.save({"layer.weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match=r"other.pth: not the weights of a resnet50"):
        build_backbone(DetectorConfig(weights=f"{tmp_path}/other.pth"), load_weights=True)


def test_weights_that_are_neither_a_file_nor_known_are_refused() -> None:
    with pytest.raises(
        ConfigError, match="weights 'IMAGENET9K': neither a file nor one of torchvision's IMAGENET1K_V1"
    ):
        build_backbone(DetectorConfig(weights="IMAGENET9K"), load_weights=True)


def test_the_slim_pyramid_has_three_levels_of_falling_size() -> None:
    levels = build_backbone(DetectorConfig(backbone="slim", anchor_sizes=(8, 16, 32)), False)(torch.zeros(2, 3, 64, 96))
    assert [(name, tuple(x.shape)) for name, x in levels.items()] == [
        ("0", (2, 256, 16, 24)),
        ("1", (2, 256, 8, 12)),
        ("2", (2, 256, 4, 6)),
    ]


def test_plain_tensors_come_in(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    torch.save({"a": torch.arange(3)}, buffer)
    (tmp_path / "x.pth").write_bytes(buffer.getvalue())
    assert torch.equal(load_pth(f"{tmp_path}/x.pth")["a"], torch.arange(3))
