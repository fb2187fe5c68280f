"""A detector of the tiny toy world that was never trained: enough for every step of a study."""

from dataclasses import replace

import pytest
import torch

from data_prep.format.reader import Dataset
from maskx_model.artifacts.model_folder import LoadedModel, save_model
from maskx_model.config import ModelConfig
from maskx_model.data.mask_classes import resolve_mask_classes
from maskx_model.model.detector import build_detector
from maskx_model.run_config import RunConfig
from maskx_model.study.frozen_detector import FrozenDetector
from tests.maskx_model.tiny_presets import tiny_cached


def two_steps() -> RunConfig:
    """Two steps for each head. The detector, which is sure of nothing, gives its best guesses."""
    small = tiny_cached(steps=2)
    return replace(small, detector=replace(small.detector, score_threshold=0.0, detections_per_image=30))


@pytest.fixture(scope="session")
def preset() -> RunConfig:
    return two_steps()


@pytest.fixture(scope="session")
def detector(toy_dataset: Dataset, preset: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of stage 1: untrained, with an opinion of every class."""
    out = str(tmp_path_factory.mktemp("study") / "detector")
    torch.manual_seed(0)
    model = build_detector(preset.detector, len(toy_dataset.vocabulary), load_weights=False)
    for parameter in model.roi_heads.box_predictor.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    save_model(out, LoadedModel(model, ModelConfig(preset.detector), toy_dataset.vocabulary, ()), {"seed": 0})
    return out


@pytest.fixture(scope="session")
def frozen(
    toy_dataset: Dataset, detector: str, preset: RunConfig, tmp_path_factory: pytest.TempPathFactory
) -> FrozenDetector:
    """Masks of thirty classes; ten of them and ten others are measured."""
    a = resolve_mask_classes(preset.mask_classes, toy_dataset.vocabulary, "coco")
    others = sorted(set(range(60)) - set(a))
    features = str(tmp_path_factory.mktemp("study") / "features")
    return FrozenDetector(toy_dataset.uri, detector, features, preset, a, (*a[:10], *others[:10]), device="cpu")
