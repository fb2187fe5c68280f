"""Presets: the paper's are the paper's, and all of them build."""

import subprocess
import sys

import pytest
import torch

from data_prep.storage.errors import ConfigError
from maskx_model.config import DetectorConfig, MaskConfig, ModelConfig
from maskx_model.model.maskx_rcnn import MaskXRCNN
from maskx_model.presets import PRESETS, get_preset


@pytest.mark.parametrize("name", list(PRESETS))
def test_every_preset_is_found_by_its_name_and_builds(name: str) -> None:
    preset = get_preset(name)
    assert preset.name == name
    with torch.device("meta"):
        model = MaskXRCNN(ModelConfig(preset.detector, preset.mask), num_classes=7)
    assert len(model.embeddings()) == 8


def test_a_preset_that_does_not_exist_is_answered_with_those_that_do() -> None:
    with pytest.raises(
        ConfigError, match="preset 'vg4000' does not exist; choose one of toy, real_sample, coco_r50, vg"
    ):
        get_preset("vg4000")


def test_the_papers_detector_and_branch_are_the_defaults() -> None:
    detector, mask = DetectorConfig(), MaskConfig()
    assert (detector.min_size, detector.max_size) == (800, 1333)
    assert (detector.rois_per_image, detector.positive_fraction, detector.nms_threshold) == (512, 0.25, 0.5)
    assert (detector.box_dim, detector.box_loss_weight, detector.box_head) == (1024, 1.0, "mlp")
    assert (mask.transfer_input, mask.transfer_layers, mask.activation) == ("cls+box", 2, "leaky_relu")
    assert (mask.mlp, mask.shared_bias, mask.convolutions, mask.channels) == ("paper", False, 4, 256)


def test_the_large_run_is_the_papers() -> None:
    preset = get_preset("vg3000_r101")
    assert preset.detector == DetectorConfig(backbone="resnet101") and preset.mask == MaskConfig()
    assert preset.data.classes == 3000
    assert (preset.stage1_source, preset.stage2_source, preset.mask_classes) == ("vg", "coco", "coco")
    stage1, stage2 = preset.stage1, preset.stage2
    assert (stage1.steps, stage1.milestones) == (180_000, (120_000, 160_000))
    assert (stage1.images_per_batch, stage1.learning_rates) == (8, (0.01,))
    assert (stage2.steps, stage2.milestones, stage2.images_per_batch) == (90_000, (60_000, 80_000), 16)
    assert stage2.learning_rates == (0.02,) and not stage2.cache_rois
    for stage in (stage1, stage2):
        assert (stage.optimizer, stage.momentum, stage.weight_decay) == ("sgd", 0.9, 1e-4)
        assert (stage.warmup_steps, stage.decay) == (500, "steps")


def test_the_controlled_study_is_the_papers() -> None:
    preset = get_preset("coco_r50")
    assert preset.detector == DetectorConfig(backbone="resnet50") and preset.mask == MaskConfig()
    assert (preset.stage1_source, preset.stage2_source, preset.mask_classes) == ("coco", "coco", "voc")
    for stage in (preset.stage1, preset.stage2):
        assert (stage.steps, stage.milestones) == (90_000, (60_000, 80_000))
        assert (stage.images_per_batch, stage.learning_rates) == (16, (0.02,))


def test_presets_need_no_torch() -> None:
    code = "import sys, maskx_model.presets; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_a_transfer_without_layers_is_refused() -> None:
    with pytest.raises(ConfigError, match="transfer_layers: T needs at least one layer, got 0"):
        MaskConfig(transfer_layers=0)
