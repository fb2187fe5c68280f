"""torchvision's Mask R-CNN around the very layers of one of our models: what it finds and learns, ours must."""

from dataclasses import replace

import torch
from torch import Tensor, nn
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.mask_rcnn import MaskRCNNPredictor
from torchvision.ops import MultiScaleRoIAlign

from maskx_model.config import MaskConfig, MaskKind, ModelConfig
from maskx_model.model.detector import build_detector
from maskx_model.model.mask_branch import MaskBranch, mask_roi_pool
from maskx_model.model.maskx_rcnn import MaskXRCNN
from tests.maskx_model.tiny_presets import DETECTOR

CLASSES = 7
CONFIG = replace(DETECTOR, box_head="mlp")


def model_of(kind: MaskKind) -> MaskXRCNN:
    """A model whose detections are many and whose masks differ by class."""
    torch.manual_seed(0)
    detector = build_detector(CONFIG, CLASSES, load_weights=False)
    nn.init.normal_(detector.roi_heads.box_predictor.cls_score.weight, std=3.0)
    mask = MaskConfig(kind=kind, mlp="none", convolutions=2, channels=8, transfer_hidden=16)
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
        rpn_pre_nms_top_n_train=CONFIG.rpn_proposals_train,
        rpn_post_nms_top_n_train=CONFIG.rpn_proposals_train,
        rpn_pre_nms_top_n_test=CONFIG.rpn_proposals_test,
        rpn_post_nms_top_n_test=CONFIG.rpn_proposals_test,
        box_roi_pool=_plain(heads.box_roi_pool),
        box_head=heads.box_head,
        box_predictor=heads.box_predictor,
        box_batch_size_per_image=CONFIG.rois_per_image,
        box_positive_fraction=CONFIG.positive_fraction,
        box_score_thresh=CONFIG.score_threshold,
        box_nms_thresh=CONFIG.nms_threshold,
        box_detections_per_img=CONFIG.detections_per_image,
        mask_roi_pool=_plain(mask_roi_pool(ours)),
        mask_head=model.mask_branch.features[:-2],
        mask_predictor=predictor_of(model.mask_branch, model.w_seg()),
    )
    # Drawn image by image (`test_sampling.py`), and nothing for the size of an image.
    theirs.transform = ours.transform
    theirs.rpn.fg_bg_sampler, theirs.roi_heads.fg_bg_sampler = ours.rpn.fg_bg_sampler, heads.fg_bg_sampler
    return theirs.eval()


def _plain(pool: MultiScaleRoIAlign) -> MultiScaleRoIAlign:
    """torchvision's own RoIAlign, of the same shape."""
    return MultiScaleRoIAlign(pool.featmap_names, pool.output_size, pool.sampling_ratio)
