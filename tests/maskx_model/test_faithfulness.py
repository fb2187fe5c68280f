"""Checked against others' code: torchvision's Mask R-CNN with the same weights finds the same."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.mask_rcnn import MaskRCNNPredictor

from maskx_model.config import MaskConfig, MaskKind, ModelConfig
from maskx_model.detector import build_detector
from maskx_model.mask_head import MaskBranch
from maskx_model.maskx_rcnn import MaskXRCNN
from maskx_model.rois import mask_roi_pool
from tests.maskx_model.tiny_presets import DETECTOR

CLASSES = 7
CONFIG = replace(DETECTOR, box_head="mlp")


def model_of(kind: MaskKind) -> MaskXRCNN:
    """A model whose detections are many and whose masks differ by class."""
    torch.manual_seed(0)
    detector = build_detector(CONFIG, CLASSES, load_weights=False)
    nn.init.normal_(detector.roi_heads.box_predictor.cls_score.weight, std=3.0)
    mask = MaskConfig(kind=kind, mlp=False, convolutions=2, channels=8, transfer_hidden=16)
    model = MaskXRCNN(ModelConfig(CONFIG, mask), CLASSES, detector)
    with torch.no_grad():
        for parameter in model.mask_branch.parameters():
            parameter.mul_(1.5)
        if kind == "class_specific":
            model.mask_branch.weights.normal_()
    return model.eval()


def predictor_of(branch: MaskBranch, w_seg: Tensor) -> MaskRCNNPredictor:
    """torchvision's last mask layers with our deconvolution and w_seg, [K + 1, C], as the 1×1 convolution's rows."""
    channels = w_seg.shape[1]
    predictor = MaskRCNNPredictor(channels, channels, len(w_seg))
    predictor.conv5_mask = branch.features[-2]
    predictor.mask_fcn_logits.weight = nn.Parameter(w_seg[:, :, None, None])
    nn.init.zeros_(predictor.mask_fcn_logits.bias)  # a predicted convolution has no bias
    return predictor


def torchvisions(model: MaskXRCNN) -> MaskRCNN:
    """torchvision's own Mask R-CNN around the same layers, with class-specific mask weights from `w_seg`."""
    ours = model.detector
    heads = ours.roi_heads
    theirs = MaskRCNN(
        ours.backbone,
        min_size=CONFIG.min_size,
        max_size=CONFIG.max_size,
        rpn_anchor_generator=ours.rpn.anchor_generator,
        rpn_head=ours.rpn.head,
        rpn_pre_nms_top_n_test=CONFIG.rpn_proposals_test,
        rpn_post_nms_top_n_test=CONFIG.rpn_proposals_test,
        box_roi_pool=heads.box_roi_pool,
        box_head=heads.box_head,
        box_predictor=heads.box_predictor,
        box_score_thresh=CONFIG.score_threshold,
        box_nms_thresh=CONFIG.nms_threshold,
        box_detections_per_img=CONFIG.detections_per_image,
        mask_roi_pool=mask_roi_pool(ours),
        mask_head=model.mask_branch.features[:-2],
        mask_predictor=predictor_of(model.mask_branch, model.w_seg()),
    )
    return theirs.eval()


@pytest.mark.parametrize("kind", ["class_specific", "transfer"])
def test_detections_and_masks_equal_torchvisions_mask_rcnn(kind: MaskKind) -> None:
    model = model_of(kind)
    generator = torch.Generator().manual_seed(1)
    images = [torch.rand(3, *size, generator=generator) for size in ((64, 80), (70, 60))]
    with torch.no_grad():
        found, encoded, theirs = model(images), model.encode(images), torchvisions(model)
        proposals, _ = theirs.rpn(_image_list(encoded.tensors, encoded.sizes), encoded.pyramid)
        expected, _ = theirs.roi_heads(encoded.pyramid, proposals, encoded.sizes)
    for ours, other in zip(found, expected, strict=True):
        assert len(ours["boxes"]) > 20
        assert torch.equal(ours["labels"], other["labels"])
        torch.testing.assert_close(ours["scores"], other["scores"], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(ours["masks"], other["masks"], rtol=1e-5, atol=1e-5)
    spread = torch.cat([each["masks"].flatten() for each in found]).std()
    assert spread > 0.05  # masks that say something


def test_boxes_equal_torchvisions_in_the_original_images_pixels() -> None:
    model = model_of("class_specific")
    images = [torch.rand(3, 90, 120, generator=torch.Generator().manual_seed(2))]
    theirs = torchvisions(model)
    theirs.roi_heads.mask_roi_pool = None  # boxes alone: torchvision pastes masks into the image
    with torch.no_grad():
        ours, other = model(images)[0], theirs(images)[0]
    torch.testing.assert_close(ours["boxes"], other["boxes"], rtol=1e-5, atol=1e-4)
    assert torch.equal(ours["labels"], other["labels"])


def _image_list(tensors: Tensor, sizes: list[tuple[int, int]]) -> object:
    from torchvision.models.detection.image_list import ImageList

    return ImageList(tensors, sizes)
