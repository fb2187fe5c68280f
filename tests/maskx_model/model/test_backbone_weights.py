"""`maskx train detector --weights`: nothing is fetched from the network where a file or `none` is named."""

import socket
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest
import torch
import tyro
from torchvision.models import resnet50
from torchvision.ops import FrozenBatchNorm2d

from data_prep.format.reader import Dataset
from data_prep.storage.errors import CheckpointError, ConfigError
from maskx_model.cli.arguments import with_learning_rate, with_weights
from maskx_model.cli.train_detector import train_detector as detector_command
from maskx_model.cli.train_joint import train_joint as joint_command
from maskx_model.config import DetectorConfig
from maskx_model.model.detector import build_detector
from maskx_model.presets import coco_r50, toy
from maskx_model.training.stages import train_detector, train_joint


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
        tyro.cli(detector_command, args=[*places, "--weights=nowhere.pth"])
    with pytest.raises(ConfigError, match=r"--pretrained and --weights: two things to begin with; name one"):
        tyro.cli(detector_command, args=[*places, "--weights=none", "--pretrained=COCO_V1"])


@pytest.mark.usefixtures("no_network")
def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    state = resnet50(weights=None, norm_layer=FrozenBatchNorm2d).state_dict()
    state["layer3.0.bn1.running_var"][5] = float("nan")
    torch.save(state, tmp_path / "r50.pth")
    with pytest.raises(CheckpointError, match=r"r50.pth: holds weights or variances that are not finite"):
        built_with(f"{tmp_path}/r50.pth")


def test_a_small_backbone_takes_none() -> None:
    with pytest.raises(ConfigError, match="--weights: preset toy has a small backbone of its own"):
        with_weights(toy(), "r50.pth")
    assert with_weights(toy(), "none") == toy()


def test_another_file_of_the_same_name_makes_another_training(toy_dataset: Dataset, tmp_path: Path) -> None:
    small = toy()
    places = tmp_path / "r50.pth", str(tmp_path / "out")
    preset = replace(small, detector=replace(small.detector, weights=str(places[0])))
    seen = []
    for content in (b"one", b"two"):
        places[0].write_bytes(content)
        with patch("maskx_model.training.stages.finished", return_value=True) as finished:
            train_detector(toy_dataset.uri, places[1], preset)
            train_joint(toy_dataset.uri, places[1], replace(preset, mask_classes="coco"))
        seen.append([call.args[1] for call in finished.call_args_list])
    assert all(one != other for one, other in zip(*seen, strict=True))


def test_end_to_end_begins_with_one_thing(toy_dataset: Dataset, tmp_path: Path) -> None:
    places = [f"--dataset={toy_dataset.uri}", f"--out={tmp_path}/out"]
    with pytest.raises(ConfigError, match="--detector and --weights: two things to begin with; name one"):
        tyro.cli(joint_command, args=[*places, "--detector=d", "--weights=none"])
    for words in ("--kind class_agnostic", "--transfer-input randn"):
        with pytest.raises(ConfigError, match="--no-stop-gradient: only of box weights"):
            tyro.cli(joint_command, args=[*places, "--no-stop-gradient", *words.split()])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--seed=-1", "seed: a number from 0 is needed, got -1"),
        ("--learning-rate=-1", "learning_rates: numbers from 0 are needed"),
        ("--learning-rate=nan", "--learning-rate nan: stage1.learning_rates is a list of numbers, not 'nan'"),
    ],
)
def test_numbers_that_cannot_be_are_refused(words: str, message: str, toy_dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        tyro.cli(
            detector_command, args=[f"--dataset={toy_dataset.uri}", f"--out={tmp_path}/out", "--preset=toy", words]
        )


def test_a_learning_rate_takes_the_place_of_the_presets() -> None:
    assert with_learning_rate(toy().stage2, None) == toy().stage2
    assert with_learning_rate(toy().stage2, 0.5).learning_rates == (0.5,)
