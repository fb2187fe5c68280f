"""torchvision's Mask R-CNN with the weights of one of our models: what it does, ours must do at a lower cost."""

from torch import nn
from torchvision.models import resnet50
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.backbone_utils import _resnet_fpn_extractor
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.ops import FrozenBatchNorm2d

from maskx_model.model.mask_branch import MaskBranch
from maskx_model.model.maskx_rcnn import MaskXRCNN
from maskx_model.model.rpn import ANCHORS_PER_IMAGE, POSITIVE_FRACTION
from maskx_model.model.sampling import ImageSampler


def torchvisions_model(ours: MaskXRCNN, rpn_head: nn.Module) -> MaskRCNN:
    """A Mask R-CNN of the same weights, T's in its last layer. The deconvolution is torchvision's in both; backbone,
    RoIAlign, RPN, heads and their layers are its own here, for ours are faster ones. `rpn_head`: our RPN's."""
    config, detector, branch, w_seg = ours.config.detector, ours.detector, ours.mask_branch, ours.w_seg()
    predictor = MaskRCNNPredictor(w_seg.shape[1], w_seg.shape[1], len(w_seg))
    predictor.conv5_mask = branch.features[-2]
    predictor.mask_fcn_logits.weight = nn.Parameter(w_seg[:, :, None, None])
    nn.init.zeros_(predictor.mask_fcn_logits.bias)
    theirs = MaskRCNN(
        _backbone(detector.backbone),
        num_classes=len(w_seg),
        min_size=config.min_size,
        max_size=config.max_size,
        rpn_pre_nms_top_n_test=config.rpn_proposals_test,
        rpn_post_nms_top_n_test=config.rpn_proposals_test,
        box_batch_size_per_image=config.rois_per_image,
        box_detections_per_img=config.detections_per_image,
        mask_head=_mask_head(branch),
    )
    theirs.roi_heads.mask_predictor = predictor
    theirs.roi_heads.box_head.load_state_dict(detector.roi_heads.box_head.state_dict())
    theirs.roi_heads.box_predictor.load_state_dict(detector.roi_heads.box_predictor.state_dict())
    theirs.rpn.head.load_state_dict(rpn_head.state_dict())
    # The same draws: none for the only size of an image, and those of RoIs and anchors image by image.
    theirs.transform.torch_choice = min
    theirs.roi_heads.fg_bg_sampler = detector.roi_heads.fg_bg_sampler
    theirs.rpn.fg_bg_sampler = ImageSampler(ANCHORS_PER_IMAGE, POSITIVE_FRACTION)
    return theirs.to(w_seg.device)


def _backbone(ours: nn.Module) -> nn.Module:
    """torchvision's own ResNet-50-FPN with frozen batch norm."""
    theirs: nn.Module = _resnet_fpn_extractor(resnet50(norm_layer=FrozenBatchNorm2d), trainable_layers=3)
    theirs.load_state_dict(ours.state_dict())
    return theirs


def _mask_head(branch: MaskBranch) -> MaskRCNNHeads:
    """torchvision's own convolutions before the deconvolution, around our weights as they lie in memory."""
    ours = branch.features[:-2]
    channels = [layer.out_channels for layer in ours if isinstance(layer, nn.Conv2d)]
    head = MaskRCNNHeads(ours[0].in_channels, channels, dilation=1)
    head.load_state_dict(dict(zip(head.state_dict(), ours.state_dict().values(), strict=True)), assign=True)
    return head
