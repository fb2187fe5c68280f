"""`maskx train detector --weights`: nothing is fetched from the network where a file or `none` is named."""

import socket
from pathlib import Path

import pytest
import torch
import tyro
from torchvision.models import resnet50
from torchvision.ops import FrozenBatchNorm2d

from data_prep.format.errors import CheckpointError, ConfigError
from data_prep.format.reader import Dataset
from maskx_model.commands import detector, with_weights
from maskx_model.config import DetectorConfig
from maskx_model.detector import build_detector
from maskx_model.presets import coco_r50


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty cache of torchvision's, and every connection is an error."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "cache"))

    def refuse(*_: object) -> None:
        raise ConnectionRefusedError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def built_with(weights: str | None) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    config: DetectorConfig = with_weights(coco_r50(), weights).detector
    return dict(build_detector(config, num_classes=2).state_dict())


@pytest.mark.usefixtures("no_network")
def test_by_default_weights_are_fetched() -> None:
    with pytest.raises(
        CheckpointError, match=r"could not be downloaded .*the network was used.* pass the file, or 'none'"
    ):
        built_with(None)


@pytest.mark.usefixtures("no_network")
def test_none_begins_with_random_weights() -> None:
    assert built_with("none")["backbone.body.conv1.weight"].std() > 0


@pytest.mark.usefixtures("no_network")
def test_a_file_is_read_and_nothing_fetched(tmp_path: Path) -> None:
    state = resnet50(weights=None, norm_layer=FrozenBatchNorm2d).state_dict()
    torch.save(state, tmp_path / "r50.pth")
    assert torch.equal(built_with(f"{tmp_path}/r50.pth")["backbone.body.conv1.weight"], state["conv1.weight"])


@pytest.mark.usefixtures("no_network")
def test_the_command_takes_them(toy_dataset: Dataset, tmp_path: Path) -> None:
    places = [f"--dataset={toy_dataset.uri}", f"--out={tmp_path}/out", "--preset=coco_r50"]
    with pytest.raises(ConfigError, match=r"weights 'nowhere.pth': neither a file nor one of torchvision's"):
        tyro.cli(detector, args=[*places, "--weights=nowhere.pth"])
    with pytest.raises(ConfigError, match=r"--pretrained and --weights: two things to begin with; name one"):
        tyro.cli(detector, args=[*places, "--weights=none", "--pretrained=COCO_V1"])
