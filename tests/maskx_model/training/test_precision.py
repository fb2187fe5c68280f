"""Precision and compiler: the same model, computed otherwise. On a GPU too, where there is one."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from data_prep.format.reader import Dataset
from maskx_model.artifacts.tensors import load_tensors
from maskx_model.cli.model_options import ComputeOptions
from maskx_model.config import Compute, ModelConfig, Precision
from maskx_model.data.loader import TrainingBatches, load_batches
from maskx_model.data.reader import SampleReader
from maskx_model.model.compute import compile_backbone, in_precision_of
from maskx_model.model.detector import build_detector
from maskx_model.model.maskx_rcnn import MaskXRCNN
from maskx_model.model.synced_batch_norm import SyncedBatchNorm
from maskx_model.presets import get_preset
from maskx_model.report.evaluate import evaluate
from maskx_model.results.predict import predict
from maskx_model.run_config import RunConfig
from maskx_model.training.distributed import ALONE
from maskx_model.training.joint import measured_joint_losses
from maskx_model.training.stages import train_detector, train_joint, train_masks
from maskx_model.training.step import make_step
from maskx_model.training.task import Measured
from tests.maskx_model.samples import busy_samples, new_detector
from tests.maskx_model.tiny_presets import DETECTOR, MASK, tiny

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
DEVICES = ("cpu", pytest.param("cuda", marks=needs_gpu))
BF16 = Compute("bf16")


def tiny_model(device: str) -> MaskXRCNN:
    model = MaskXRCNN(ModelConfig(DETECTOR, replace(MASK, mlp="light")), 5, new_detector())
    return model.to(device).to(memory_format=torch.channels_last)


def computed(preset: RunConfig, compute: Compute) -> RunConfig:
    return replace(
        preset,
        stage1=replace(preset.stage1, compute=compute),
        stage2=replace(preset.stage2, compute=compute),
        joint=replace(preset.joint, compute=compute),
    )


@pytest.mark.parametrize("device", DEVICES)
def test_losses_in_bfloat16_are_float32_and_nearly_those_of_float32(device: str) -> None:
    model, samples = tiny_model(device).train(), busy_samples(1)  # where the same RoIs are drawn
    found = {}
    for precision in ("float32", "bf16"):
        torch.manual_seed(0)
        with in_precision_of(Compute(precision), device):
            found[precision] = measured_joint_losses(model, samples, 1.0).losses
    for name, loss in found["bf16"].items():
        assert loss.dtype == torch.float32
        assert loss.item() == pytest.approx(found["float32"][name].item(), rel=0.05, abs=0.02)
        assert loss.item() != found["float32"][name].item()


@pytest.mark.parametrize("device", DEVICES)
def test_a_step_in_bfloat16_keeps_weights_and_gradients_in_float32(device: str) -> None:
    model, samples = tiny_model(device).train(), busy_samples(0)
    optimizer = torch.optim.SGD(model.parameters(), 0.01)

    def losses() -> Measured:
        with in_precision_of(BF16, device):
            return measured_joint_losses(model, samples, 1.0)

    assert torch.isfinite(make_step(model, optimizer, [losses], 0.01, 10.0, ALONE)["loss"])
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in model.parameters())


@pytest.mark.parametrize("device", DEVICES)
def test_boxes_are_not_rounded_to_bfloat16(device: str) -> None:
    """Which would put corners beyond 256 pixels on even numbers."""
    detector = build_detector(replace(DETECTOR, min_size=600, max_size=600), 5, load_weights=False).to(device).eval()
    image = torch.rand(3, 600, 600, generator=torch.Generator().manual_seed(0)).to(device)
    batch, _ = detector.transform([image])
    with torch.no_grad(), in_precision_of(BF16, device):
        pyramid = detector.backbone(batch.tensors)
        proposals = detector.rpn(batch, pyramid)[0][0]
        detector.roi_heads.score_thresh = 0.0
        boxes = detector.roi_heads(pyramid, [proposals[:50]], batch.image_sizes)[0][0]["boxes"]
    assert next(iter(pyramid.values())).dtype == torch.bfloat16
    for each in (proposals, boxes):
        inside = each[(each > 256) & (each < 600)]
        assert len(inside) > 0
        assert each.dtype == torch.float32
        assert not torch.equal(inside, inside.bfloat16().float())


@pytest.mark.parametrize("device", DEVICES)
def test_what_is_found_in_bfloat16_has_the_usual_types(device: str) -> None:
    model = tiny_model(device).eval()
    images = [sample.image for sample in busy_samples(3)]
    exact = [predict(model, image) for image in images]
    with in_precision_of(BF16, device):
        found = [predict(model, image) for image in images]
    for one, other in zip(found, exact, strict=True):
        assert one.boxes.dtype == one.scores.dtype == np.float32
        assert len(one.masks) == len(one.boxes) > 0
        assert one.scores[0] == pytest.approx(other.scores[0], abs=0.05)


@needs_gpu
def test_a_gpu_finds_what_the_processor_finds() -> None:
    images = [sample.image for sample in busy_samples(3)]
    on_cpu, on_gpu = ([predict(tiny_model(device).eval(), each) for each in images] for device in ("cpu", "cuda"))
    for one, other in zip(on_cpu, on_gpu, strict=True):
        assert len(one.boxes) == pytest.approx(len(other.boxes), abs=2)
        np.testing.assert_allclose(one.scores[:5], other.scores[:5], rtol=1e-2)


def test_auto_is_float32_on_processors() -> None:
    with in_precision_of(Compute("auto"), "cpu"):
        assert torch.ones(2, 2).mm(torch.ones(2, 2)).dtype == torch.float32


@pytest.mark.slow
@pytest.mark.parametrize("device", DEVICES)
def test_a_compiled_backbone_gives_the_same_for_images_of_all_sizes(device: str) -> None:
    detector = new_detector().to(device).eval()
    images = [torch.rand(2, 3, height, width).to(device) for height, width in ((64, 96), (96, 64), (64, 64))]
    with torch.no_grad():
        plain = [detector.backbone(image) for image in images]
        names = list(detector.state_dict())
        compile_backbone(detector, Compute(compile_backbone=True))
        compiled = [detector.backbone(image) for image in images]
    assert list(detector.state_dict()) == names
    for one, other in zip(plain, compiled, strict=True):
        for level in one:
            torch.testing.assert_close(one[level], other[level], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("precision", ["bf16", "float32"])
def test_both_stages_and_joint_training_run_in_it(
    toy_dataset: Dataset, tmp_path: Path, device: str, precision: Precision
) -> None:
    preset = computed(tiny(2), Compute(precision))
    detector, masks, joint = (str(tmp_path / name) for name in ("detector", "masks", "joint"))
    train_detector(toy_dataset.uri, detector, preset, device=device)
    train_masks(toy_dataset.uri, detector, masks, preset, device=device)
    train_joint(toy_dataset.uri, joint, preset, device=device)
    found = evaluate(joint, toy_dataset.uri, f"{tmp_path}/evaluation", device=device, compute=Compute(precision))
    assert found.made_from["precision"] == precision
    for uri in (masks, joint):
        weights = load_tensors(f"{uri}/model.safetensors")
        assert {each.dtype for each in weights.values() if each.is_floating_point()} == {torch.float32}


def test_the_command_line_changes_what_the_preset_says() -> None:
    assert ComputeOptions().of(Compute("auto")) == Compute("auto")
    assert ComputeOptions("float32", compile_backbone=True).of(Compute("auto")) == Compute(compile_backbone=True)
    assert {get_preset(name).stage2.compute.precision for name in ("coco_r50", "vg3000_r101")} == {"auto"}


@pytest.mark.slow
def test_batches_made_ahead_are_those_made_in_turn(toy_dataset: Dataset) -> None:
    samples = TrainingBatches(
        SampleReader(toy_dataset, "coco"), toy_dataset.select("train", "coco"), 2, seed=0, flip=True
    )
    in_turn, ahead = (list(load_batches(samples, range(3, 6), torch.device(kind))) for kind in ("cpu", "cuda"))
    assert len(in_turn) == len(ahead) == 3
    for one, other in zip(in_turn, ahead, strict=True):
        assert [sample.key for sample in one] == [sample.key for sample in other]
        assert all(np.array_equal(a.image, b.image) for a, b in zip(one, other, strict=True))
        assert all(torch.equal(a.boxes, b.boxes) for a, b in zip(one, other, strict=True))


def test_a_synced_batch_norm_takes_the_statistics_of_bfloat16_in_float32() -> None:
    means = torch.tensor([0.0, 3.3, 10.1, 30.7])[:, None, None]
    features = (torch.randn(8, 4, 32, 32, generator=torch.Generator().manual_seed(0)) * 0.2 + means).bfloat16()
    plain, synced = nn.BatchNorm2d(4), SyncedBatchNorm(nn.BatchNorm2d(4), lambda own: own)
    torch.testing.assert_close(synced(features).float(), plain(features.float()), rtol=0, atol=1e-4)
    torch.testing.assert_close(synced.running_mean, plain.running_mean)
    torch.testing.assert_close(synced.running_var, plain.running_var)
