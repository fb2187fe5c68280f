"""End to end: what the mask loss reaches and what not, and that it is stage 2's loss on the box head's own RoIs."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from data_prep.format.reader import Dataset
from maskx_model.config import MaskConfig, MaskKind, ModelConfig, TransferInput
from maskx_model.data.reader import SampleReader
from maskx_model.data.samples import Sample
from maskx_model.model.crowds import CROWD_LABEL
from maskx_model.model.mask_loss import mask_loss
from maskx_model.model.maskx_rcnn import MaskXRCNN
from maskx_model.training.detector_step import detector_step
from maskx_model.training.joint import measured_joint_losses
from maskx_model.training.roi_sampling import sampled_rois
from maskx_model.training.stage2 import freeze
from tests.maskx_model.recorder import Recorder
from tests.maskx_model.samples import (
    busy_samples,
    new_detector,
    read_sample,
    rows_with_gradient,
    sample,
    with_other_masks,
)
from tests.maskx_model.tiny_presets import DETECTOR, MASK

KINDS = pytest.mark.parametrize("kind", ["transfer", "class_agnostic", "class_specific"])


def new_model(mask: MaskConfig = MASK, classes: int = 5) -> MaskXRCNN:
    """In training mode; its weights are always the same."""
    detector = new_detector(classes)
    torch.manual_seed(0)
    return MaskXRCNN(ModelConfig(DETECTOR, mask), classes, detector).train()


def losses_of(model: MaskXRCNN, samples: Sequence[Sample]) -> dict[str, Tensor]:
    torch.manual_seed(0)
    return measured_joint_losses(model, samples, box_loss_weight=0.5).losses


def mask_gradients(model: MaskXRCNN, samples: Sequence[Sample]) -> dict[str, Tensor | None]:
    """Of the mask loss alone, by every parameter of the model; None where no path leads to it."""
    names, parameters = zip(*model.named_parameters(), strict=True)
    return dict(
        zip(
            names,
            torch.autograd.grad(losses_of(model, samples)["loss_mask"], parameters, allow_unused=True),
            strict=True,
        )
    )


def mask_of(label: int, samples: Sequence[Sample]) -> list[Sample]:
    """The samples with the masks of that label alone."""
    return [
        replace(s, masks=tuple(m if own == label else None for m, own in zip(s.masks, s.labels.tolist(), strict=True)))
        for s in samples
    ]


@pytest.mark.parametrize("transfer_input", ["cls", "box", "cls+box"])
def test_with_stop_gradient_no_path_leads_from_the_mask_loss_to_the_class_weights(
    transfer_input: TransferInput,
) -> None:
    gradients = mask_gradients(new_model(replace(MASK, transfer_input=transfer_input)), busy_samples(0))
    predictor = [g for name, g in gradients.items() if "box_predictor" in name]
    assert len(predictor) == 4 and all(g is None for g in predictor)
    assert all(g is not None and g.any() for name, g in gradients.items() if "mask_branch" in name)


@pytest.mark.parametrize(
    ("transfer_input", "reached"), [("cls", {"cls"}), ("box", {"box"}), ("cls+box", {"cls", "box"})]
)
def test_without_it_the_mask_loss_reaches_exactly_the_rows_of_the_labels_in_the_batch(
    transfer_input: TransferInput, reached: set[str]
) -> None:
    samples = mask_of(2, busy_samples(0))
    assert any(mask is not None for s in samples for mask in s.masks)
    config = replace(MASK, transfer_input=transfer_input, stop_gradient=False)
    gradients = mask_gradients(new_model(config), samples)
    w_cls = gradients["detector.roi_heads.box_predictor.cls_score.weight"]
    w_box = gradients["detector.roi_heads.box_predictor.bbox_pred.weight"]
    rows = {
        "cls": set() if w_cls is None else rows_with_gradient(w_cls),
        "box": set() if w_box is None else rows_with_gradient(w_box.reshape(6, -1)),
    }
    assert rows == {name: {2} if name in reached else set() for name in rows}
    biases = [g for name, g in gradients.items() if "box_predictor" in name and name.endswith("bias")]
    assert len(biases) == 2 and all(g is None for g in biases)  # w_det holds no bias


def test_the_switch_changes_no_loss_and_no_other_gradient() -> None:
    """With the box losses, so that the gradients of the class weights exist either way."""
    runs = []
    for stop_gradient in (True, False):
        model = new_model(replace(MASK, stop_gradient=stop_gradient))
        losses = losses_of(model, busy_samples(0))
        torch.stack(list(losses.values())).sum().backward()
        runs.append((losses, {name: p.grad for name, p in model.named_parameters()}))
    (with_it, gradients), (without, other_gradients) = runs
    assert all(torch.equal(value, without[name]) for name, value in with_it.items())
    different = {
        name.rpartition("box_predictor.")[2]
        for name, g in gradients.items()
        if not torch.equal(g, other_gradients[name])  # type: ignore[arg-type]
    }
    assert different == {"cls_score.weight", "bbox_pred.weight"}


@KINDS
@pytest.mark.parametrize("stop_gradient", [True, False])
def test_the_mask_loss_trains_the_backbone_but_not_the_proposals(kind: MaskKind, stop_gradient: bool) -> None:
    gradients = mask_gradients(new_model(replace(MASK, kind=kind, stop_gradient=stop_gradient)), busy_samples(0))
    backbone = [g for name, g in gradients.items() if name.startswith("detector.backbone.stages")]
    assert backbone and all(g is not None and g.any() for g in backbone)
    assert all(g is None for name, g in gradients.items() if "detector.rpn" in name or "box_head" in name)


@pytest.mark.parametrize("stop_gradient", [True, False])
def test_no_tensor_holds_w_det_of_all_classes_but_its_gradient(stop_gradient: bool) -> None:
    classes, width = 3000, DETECTOR.box_dim
    model = new_model(replace(MASK, stop_gradient=stop_gradient), classes)
    features = torch.randn(8, DETECTOR.fpn_channels, 14, 14)
    with Recorder() as recorder:
        model.mask_logits(features, torch.tensor([5, 5, 7, 3000, 1, 1, 1, 7])).sum().backward()
    w_cls, w_box = (classes + 1) * width * 4, (classes + 1) * 4 * width * 4  # bytes
    large = {made for made in recorder.bytes if made >= w_cls}
    assert large == (set() if stop_gradient else {w_cls, w_box})  # never the two beside each other


@KINDS
def test_on_a_frozen_detector_the_mask_loss_is_stage_2s(kind: MaskKind) -> None:
    model = new_model(replace(MASK, kind=kind))
    freeze(model.detector)
    samples = busy_samples(0, size=(70, 90))  # of one size: stage 2 pads no image to another's
    torch.manual_seed(0)
    rois = sampled_rois(model.detector, samples)
    staged = mask_loss(model.mask_branch(rois.features, rois.labels, model.embeddings()), rois.targets)
    joint = losses_of(model, samples)["loss_mask"]
    assert joint.item() == pytest.approx(staged.item(), rel=1e-6)
    parameters = list(model.mask_branch.parameters())
    for a, b in zip(torch.autograd.grad(joint, parameters), torch.autograd.grad(staged, parameters), strict=True):
        torch.testing.assert_close(a, b)


def test_the_detectors_losses_are_those_it_has_alone_and_no_roi_is_drawn_twice() -> None:
    detector = new_detector()
    torch.manual_seed(0)
    alone = detector_step(detector, busy_samples(0), box_loss_weight=0.5).losses
    model = new_model()
    drawn = []
    draw = model.detector.roi_heads.fg_bg_sampler

    def counted(labels: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        drawn.append(len(labels))
        return draw(labels)  # type: ignore[no-any-return]

    model.detector.roi_heads.fg_bg_sampler = counted
    joint = losses_of(model, busy_samples(0))
    assert {name: value.item() for name, value in joint.items() if name != "loss_mask"} == {
        name: value.item() for name, value in alone.items()
    }
    assert drawn == [2]


@pytest.mark.parametrize(
    ("kind", "expected"), [("transfer", 1.055984), ("class_agnostic", 0.693167), ("class_specific", 0.731191)]
)
def test_golden_losses(kind: MaskKind, expected: float) -> None:
    losses = losses_of(new_model(replace(MASK, kind=kind)), busy_samples(0))
    assert {name: value.item() for name, value in losses.items()} == pytest.approx(
        {
            "loss_classifier": 2.038187,
            "loss_box_reg": 0.541507,
            "loss_objectness": 0.693235,
            "loss_rpn_box_reg": 0.001945,
            "loss_mask": expected,
        },
        rel=1e-3,
    )


def test_no_mask_of_b_reaches_a_gradient_of_any_part(toy_dataset: Dataset) -> None:
    names = toy_dataset.vocabulary.names
    mask_classes = frozenset(range(0, len(names), 2))
    reader = SampleReader(toy_dataset, "coco", mask_classes)
    rows = toy_dataset.select("train", "coco")[:6]

    def gradients(planted: frozenset[int]) -> list[Tensor]:
        of = {name for name, position in reader.index.items() if position in planted}
        records = [with_other_masks(toy_dataset.read_record(row), of) for row in rows]
        samples = [reader.from_record(read_sample(reader, row).image, r) for row, r in zip(rows, records, strict=True)]
        model = new_model(replace(MASK, stop_gradient=False), len(names))
        torch.stack(list(losses_of(model, samples).values())).sum().backward()
        return [p.grad for p in model.parameters() if p.grad is not None]

    before = gradients(frozenset())
    in_b = gradients(frozenset(range(len(names))) - mask_classes)
    of_a = gradients(mask_classes)
    assert all(torch.equal(a, b) for a, b in zip(before, in_b, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(before, of_a, strict=True))


@KINDS
@pytest.mark.parametrize(
    "samples",
    [
        [sample([], []), sample([(5, 5, 30, 30)], [2])],
        [sample([(0, 0, 64, 64)], [CROWD_LABEL])] * 2,
    ],
    ids=["no object of A", "crowds that fill the images"],
)
def test_a_batch_without_a_positive_of_a_has_a_mask_loss_of_zero_that_keeps_its_graph(
    kind: MaskKind, samples: list[Sample]
) -> None:
    model = new_model(replace(MASK, kind=kind))
    losses = losses_of(model, samples)
    assert losses["loss_mask"] == 0 and all(torch.isfinite(value) for value in losses.values())
    torch.stack(list(losses.values())).sum().backward()
    assert all(p.grad is not None and not p.grad.any() for p in model.mask_branch.parameters())
