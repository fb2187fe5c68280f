"""The detector: torchvision's, but for crowds and for the cost of thousands of classes."""

from functools import partial
from typing import Literal

import pytest
import torch
from torch import Tensor
from torchvision.models.detection.roi_heads import RoIHeads

from data_prep.storage.errors import ConfigError
from maskx_model.config import DetectorConfig
from maskx_model.model.detections import Detections, select_detections
from maskx_model.model.detector import OneSizeTransform, build_detector, class_weights
from maskx_model.model.roi_heads import SparseRoIHeads, in_groups
from maskx_model.training.detector_step import detector_step
from tests.maskx_model.recorder import Recorder
from tests.maskx_model.samples import busy_samples, new_detector, sample
from tests.maskx_model.tiny_presets import DETECTOR


def random_boxes(count: int, seed: int, extent: float = 80.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator) * extent
    return torch.cat([corner, corner + 2 + torch.rand(count, 2, generator=generator) * extent / 2], dim=1)


def selected(
    heads: RoIHeads, logits: Tensor, regression: Tensor, proposals: list[Tensor], shapes: list[tuple[int, int]]
) -> list[Detections]:
    """Our selection of each image's detections, with every box regressed beforehand, as torchvision is given them."""
    counts = [len(boxes) for boxes in proposals]
    images = zip(logits.split(counts), regression.unflatten(1, (-1, 4)).split(counts), proposals, shapes, strict=True)
    return [
        select_detections(heads, own, partial(looked_up, deltas), boxes, shape) for own, deltas, boxes, shape in images
    ]


def looked_up(deltas: Tensor, rois: Tensor, labels: Tensor) -> Tensor:
    return deltas[rois, labels]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("threshold", "most"), [(0.0, 100), (0.0001, 20), (0.0001, 300), (0.05, 100), (0.9999, 100)])
def test_detections_equal_torchvisions(seed: int, threshold: float, most: int) -> None:
    heads = new_detector(num_classes=7).roi_heads
    heads.score_thresh, heads.detections_per_img = threshold, most
    generator = torch.Generator().manual_seed(seed)
    proposals = [random_boxes(30, seed), random_boxes(0, seed), random_boxes(25, seed + 100)]
    logits = torch.randn(55, 8, generator=generator) * 3
    regression = torch.randn(55, 32, generator=generator) * 2
    regression[5:9] -= 60.0  # boxes shrunk to nothing, which both leave out
    shapes = [(64, 90), (70, 70), (80, 60)]
    expected = zip(*RoIHeads.postprocess_detections(heads, logits, regression, proposals, shapes), strict=True)
    found = selected(heads, logits, regression, proposals, shapes)
    for ours, theirs in zip(found, expected, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    assert threshold > 0.5 or len(found[0].boxes) > 5


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_detections_equal_torchvisions_where_its_rounding_shows(seed: int) -> None:
    """Small boxes, labels in the thousands, and a threshold at which there are more pairs than detections are asked
    for: shifted by their label, boxes are known to half a pixel only."""
    heads = new_detector(num_classes=3001).roi_heads
    heads.score_thresh, heads.detections_per_img = 0.0001, 100
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(300, 2, generator=generator) * 30 + 900
    proposals = [torch.cat([corner, corner + 5 + 14 * torch.rand(300, 2, generator=generator)], dim=1)]
    logits = torch.randn(300, 3002, generator=generator)
    logits[torch.arange(300), 2990 + torch.arange(300) % 10] += 8
    regression = torch.randn(300, 3002 * 4, generator=generator) * 0.2
    expected = RoIHeads.postprocess_detections(heads, logits, regression, proposals, [(1000, 1300)])
    (found,) = selected(heads, logits, regression, proposals, [(1000, 1300)])
    for ours, (theirs,) in zip(found, expected, strict=True):
        assert len(ours) == 100 and torch.equal(ours, theirs)


def pyramid_and_proposals() -> tuple[dict[str, Tensor], list[Tensor], list[tuple[int, int]]]:
    """What RoI heads are given for two images of 64 × 64."""
    generator = torch.Generator().manual_seed(3)
    pyramid = {
        str(level): torch.randn(2, DETECTOR.fpn_channels, 16 >> level, 16 >> level, generator=generator)
        for level in range(3)
    }
    return pyramid, [random_boxes(40, 5, 40.0), random_boxes(30, 6, 40.0)], [(64, 64), (64, 64)]


def test_losses_and_gradients_equal_torchvisions_dense_ones() -> None:
    heads = new_detector(num_classes=50).roi_heads.train()
    pyramid, proposals, shapes = pyramid_and_proposals()
    targets = [
        {"boxes": random_boxes(3, 7, 30.0), "labels": torch.tensor([4, 50, 4])},
        {"boxes": random_boxes(0, 8), "labels": torch.zeros(0, dtype=torch.int64)},
    ]
    runs = []
    for forward in (SparseRoIHeads.forward, RoIHeads.forward):
        torch.manual_seed(0)
        heads.zero_grad()
        _, losses = forward(heads, pyramid, list(proposals), shapes, targets)
        (losses["loss_classifier"] + 2 * losses["loss_box_reg"]).backward()
        runs.append([*losses.values(), *(p.grad for p in heads.parameters())])
    assert runs[0][1] > 0
    for ours, theirs in zip(*runs, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-7)


def test_detections_of_the_heads_equal_torchvisions_and_no_box_is_regressed_for_every_class() -> None:
    heads = new_detector(num_classes=500).roi_heads.eval()
    torch.nn.init.normal_(heads.box_predictor.cls_score.weight, std=5.0)
    torch.nn.init.normal_(heads.box_predictor.bbox_pred.weight, std=0.1)
    pyramid, proposals, shapes = pyramid_and_proposals()
    with torch.no_grad():
        expected, _ = RoIHeads.forward(heads, pyramid, proposals, shapes)
        with Recorder() as recorder:
            found, _ = heads(pyramid, proposals, shapes)
    assert all(len(image["boxes"]) > 5 for image in expected)
    for ours, theirs in zip(found, expected, strict=True):
        assert torch.equal(ours["labels"], theirs["labels"])
        torch.testing.assert_close(ours["boxes"], theirs["boxes"], rtol=1e-5, atol=1e-4)
        torch.testing.assert_close(ours["scores"], theirs["scores"])
    assert max(recorder.bytes) < 70 * 501 * 4 * 4  # float32 [R, 4 (K + 1)]


@pytest.mark.parametrize("size", [1, 7, 30, 100])
def test_groups_of_rois_hold_each_once_and_in_order(size: int) -> None:
    boxes = [random_boxes(count, count) for count in (20, 0, 33, 1)]
    groups = list(in_groups(boxes, size))
    assert all(sum(map(len, group)) == size for group in groups[:-1])
    for image, each in enumerate(boxes):
        assert torch.equal(torch.cat([group[image] for group in groups]), each)
    assert [[len(each) for each in group] for group in in_groups([boxes[1], boxes[1]], size)] == [[0, 0]]


def test_detections_do_not_depend_on_the_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    heads = new_detector(num_classes=7).roi_heads.eval()
    heads.score_thresh = 0.0
    found = []
    for size in (9, 500):
        monkeypatch.setattr("maskx_model.model.roi_heads.ROIS_AT_ONCE", size)
        with torch.no_grad():
            found.append(heads(*pyramid_and_proposals())[0])
    for few, many in zip(*found, strict=True):
        assert len(few["boxes"]) > 20
        torch.testing.assert_close(few, many)


def test_images_without_objects_and_of_other_sizes_train_together() -> None:
    detector = new_detector()
    torch.manual_seed(0)
    losses = detector_step(detector, [*busy_samples(0), sample([], [], size=(50, 90))], 1.0).losses
    torch.stack(list(losses.values())).sum().backward()
    gradients = [p.grad for p in detector.parameters()]
    assert all(g is not None and bool(torch.isfinite(g).all()) for g in gradients)


def test_only_the_box_losses_are_weighted() -> None:
    detector = new_detector()
    runs = []
    for weight in (1.0, 0.25):
        torch.manual_seed(0)
        runs.append(detector_step(detector, busy_samples(0), weight).losses)
    ratios = {name: (runs[1][name] / runs[0][name]).item() for name in runs[0]}
    expected = {"loss_classifier": 1, "loss_box_reg": 0.25, "loss_objectness": 1, "loss_rpn_box_reg": 0.25}
    assert ratios == pytest.approx(expected, rel=1e-4)


def test_class_weights_stand_by_label_with_the_box_rows_of_each_class() -> None:
    detector = new_detector(num_classes=3)
    w_cls, w_box = class_weights(detector)
    predictor = detector.roi_heads.box_predictor
    assert w_cls.shape == (4, 16) and w_box.shape == (4, 64)
    assert torch.equal(w_cls[2], predictor.cls_score.weight[2])
    assert torch.equal(w_box[2].reshape(4, 16), predictor.bbox_pred.weight[8:12])


def test_anchor_sizes_must_fit_the_backbone() -> None:
    with pytest.raises(ConfigError, match="backbone slim has 3 levels, got 5 sizes"):
        DetectorConfig(backbone="slim")


@pytest.mark.parametrize("backbone", ["resnet50", "resnet101"])
def test_the_papers_detectors_are_built_as_configured(backbone: Literal["resnet50", "resnet101"]) -> None:
    config = DetectorConfig(backbone=backbone)
    with torch.device("meta"):
        detector = build_detector(config, num_classes=3000, load_weights=False)
    assert detector.roi_heads.box_predictor.cls_score.weight.shape == (3001, 1024)
    assert detector.roi_heads.box_predictor.bbox_pred.weight.shape == (4 * 3001, 1024)
    frozen = {name.split(".")[1] for name, p in detector.backbone.named_parameters() if not p.requires_grad}
    assert frozen == {"conv1", "layer1"}
    assert detector.transform.min_size == (800,) and detector.transform.max_size == 1333


@pytest.mark.parametrize(("height", "width"), [(1, 1400), (2, 2700), (3, 4032), (49, 49 * 1333), (1500, 1)])
def test_an_image_is_scaled_to_a_pixel_at_least_and_its_boxes_with_it(height: int, width: int) -> None:
    transform = OneSizeTransform(800, 1333, [0.5] * 3, [0.2] * 3).eval()
    target = {"boxes": torch.tensor([[0.0, 0.0, width, height]])}
    resized, scaled = transform.resize(torch.full((3, height, width), 0.25), target)
    assert scaled is not None and min(resized.shape) >= 1
    assert scaled["boxes"].tolist() == [pytest.approx([0, 0, resized.shape[2], resized.shape[1]])]
    torch.testing.assert_close(resized, torch.full_like(resized, 0.25))


def test_a_thin_image_is_detected_in_and_trained_on() -> None:
    thin = sample([(0, 0, 300, 1)], [1], size=(1, 1400))
    detector = new_detector()
    losses = detector_step(detector, [thin], 1.0).losses
    assert all(loss.isfinite() for loss in losses.values())
    with torch.no_grad():
        (found,) = detector.eval()([thin.image_tensor(torch.device("cpu"))])
    assert (found["boxes"] <= torch.tensor([1400, 1, 1400, 1])).all()
