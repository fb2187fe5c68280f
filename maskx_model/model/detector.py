"""Stage 1's model: torchvision's Faster R-CNN with FPN around our RPN and our RoI heads."""

from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.rpn import RPNHead
from torchvision.models.detection.transform import GeneralizedRCNNTransform, resize_boxes

from maskx_model.config import DetectorConfig
from maskx_model.model.backbones import build_backbone
from maskx_model.model.cpu.roi_align import RowRoIAlign
from maskx_model.model.roi_heads import SparseRoIHeads
from maskx_model.model.rpn import CrowdAwareRPN


def build_detector(config: DetectorConfig, num_classes: int, load_weights: bool = True) -> FasterRCNN:
    """Builds Faster R-CNN for `num_classes` foreground classes (label 0 is background).

    `load_weights`: see `build_backbone`, whose errors it raises.
    """
    backbone = build_backbone(config, load_weights)
    levels = len(config.anchor_sizes)
    names = [str(level) for level in range(levels if config.backbone == "slim" else levels - 1)]
    anchors = AnchorGenerator(tuple((size,) for size in config.anchor_sizes), ((0.5, 1.0, 2.0),) * levels)
    rpn_head = RPNHead(config.fpn_channels, anchors.num_anchors_per_location()[0])
    roi_pool = RowRoIAlign(names, output_size=BOX_ROI_SIZE, sampling_ratio=2)
    box_head = build_box_head(config)
    predictor = FastRCNNPredictor(config.box_dim, num_classes + 1)
    detector = FasterRCNN(
        backbone,
        min_size=config.min_size,
        max_size=config.max_size,
        rpn_anchor_generator=anchors,
        rpn_head=rpn_head,
        box_roi_pool=roi_pool,
        box_head=box_head,
        box_predictor=predictor,
    )
    pixels = detector.transform
    detector.transform = OneSizeTransform(config.min_size, config.max_size, pixels.image_mean, pixels.image_std)
    # The same layers in our RPN and our RoI heads.
    detector.rpn = CrowdAwareRPN(anchors, rpn_head, config.rpn_proposals_train, config.rpn_proposals_test)
    detector.roi_heads = SparseRoIHeads(
        roi_pool,
        box_head,
        predictor,
        fg_iou_thresh=0.5,
        bg_iou_thresh=0.5,
        batch_size_per_image=config.rois_per_image,
        positive_fraction=config.positive_fraction,
        bbox_reg_weights=None,
        score_thresh=config.score_threshold,
        nms_thresh=config.nms_threshold,
        detections_per_img=config.detections_per_image,
    )
    if config.box_head == "single":
        # Not the classifier: from zero it learns hues quickly, and textures only after a long time.
        nn.init.zeros_(predictor.bbox_pred.weight)
        nn.init.zeros_(predictor.bbox_pred.bias)
    return detector


def inference_settings(detector: FasterRCNN) -> tuple[object, ...]:
    """Returns what a detector in eval mode computes with, apart from its weights."""
    transform, rpn, heads = detector.transform, detector.rpn, detector.roi_heads
    return (
        (transform.min_size, transform.max_size),
        (rpn.anchor_generator.sizes, rpn.pre_nms_top_n(), rpn.post_nms_top_n()),
        (heads.score_thresh, heads.nms_thresh, heads.detections_per_img),
    )


class OneSizeTransform(GeneralizedRCNNTransform):
    """torchvision's scaling, normalizing and padding, with two changes.

    It draws no random number: for each image torchvision draws one of several sizes, and ranks with parts of a batch
    would then draw other RoIs than one process. And it takes images so thin that nothing would be left of their shorter
    side, where torchvision raises.
    """

    def torch_choice(self, k: list[int]) -> int:
        """Returns the only size."""
        (size,) = k
        return size

    def resize(self, image: Tensor, target: dict[str, Tensor] | None = None) -> tuple[Tensor, dict[str, Tensor] | None]:
        """Image [C, H, W] and boxes xyxy [N, 4] in its pixels → both scaled, to one pixel at least along each side."""
        size = image.shape[-2:]
        shortest = max(size) // self.max_size + 1
        if min(size) < shortest:
            image = F.interpolate(image[None], [max(side, shortest) for side in size])[0]
            if target is not None:
                target = {**target, "boxes": resize_boxes(target["boxes"], size, image.shape[-2:])}
        resized: tuple[Tensor, dict[str, Tensor] | None] = super().resize(image, target)
        return resized


def class_weights(detector: FasterRCNN) -> tuple[Tensor, Tensor]:
    """Returns w_cls, [K + 1, D], and w_box, [K + 1, 4 D]: the last layer's rows by label, background's first (§3.1)."""
    predictor = detector.roi_heads.box_predictor
    w_cls: Tensor = predictor.cls_score.weight
    w_box: Tensor = predictor.bbox_pred.weight
    return w_cls, w_box.reshape(len(w_cls), -1)


BOX_ROI_SIZE = 7


def build_box_head(config: DetectorConfig) -> nn.Module:
    """Builds the box head: RoI features [R, fpn_channels, 7, 7] → vectors [R, box_dim]."""
    if config.box_head == "single":
        return SingleLayerHead(config.fpn_channels, config.box_dim)
    head: nn.Module = TwoMLPHead(config.fpn_channels * BOX_ROI_SIZE**2, config.box_dim)
    return head


class SingleLayerHead(nn.Sequential):
    """A box head for small detectors trained from scratch (not in the paper): one fully connected layer with batch
    norm. With each further layer it takes more steps to learn textures."""

    def __init__(self, in_channels: int, box_dim: int) -> None:
        super().__init__(
            nn.Flatten(),
            nn.Linear(in_channels * BOX_ROI_SIZE**2, box_dim, bias=False),
            nn.BatchNorm1d(box_dim),
            nn.ReLU(inplace=True),
        )
