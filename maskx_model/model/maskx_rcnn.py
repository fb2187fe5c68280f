"""The whole model: a detector of all classes, and a mask branch that segments them all (Figure 2)."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN

from maskx_model.config import ModelConfig
from maskx_model.model.detector import build_detector, class_weights
from maskx_model.model.input_checks import check_boxes, check_images
from maskx_model.model.mask_branch import MASK_SIZE, MaskBranch, mask_roi_pool
from maskx_model.model.roi_heads import in_groups
from maskx_model.model.transfer import class_embeddings

ROIS_AT_ONCE = 300
"""RoIs that are segmented together: 0.8 GB with 256 channels."""


@dataclass(frozen=True)
class Encoded:
    """A batch of images after the backbone: the pyramid, and each image's (height, width) before and after scaling."""

    tensors: Tensor
    pyramid: "OrderedDict[str, Tensor]"
    sizes: list[tuple[int, int]]
    original_sizes: list[tuple[int, int]]


class MaskXRCNN(nn.Module):
    """Mask^X R-CNN at inference, in torchvision's calling convention.

    Stage 1 trains `detector`, stage 2 `mask_branch`; end to end both are trained at once (`training/joint.py`).
    """

    word_vectors: Tensor | None
    """T's input for `transfer_input` `embedding`, float32 [K + 1, E]: saved with the model."""

    def __init__(self, config: ModelConfig, num_classes: int, detector: FasterRCNN | None = None) -> None:
        """`detector`: a trained detector; None builds a new one without ImageNet weights.

        With T's input `embedding`, `word_vectors` start as zeros; a checkpoint or `class_vectors` fills them.
        Raises ValueError without a mask configuration.
        """
        super().__init__()
        if config.mask is None:
            raise ValueError("a MaskXRCNN needs a mask configuration")
        self.config = config
        self.detector = detector or build_detector(config.detector, num_classes, load_weights=False)
        self.mask_branch = MaskBranch(config.mask, config.detector.fpn_channels, config.detector.box_dim, num_classes)
        width = config.mask.embedding_dim
        self.register_buffer("word_vectors", None if width is None else torch.zeros(num_classes + 1, width))
        self._w_seg: tuple[list[object], Tensor] | None = None

    def train(self, mode: bool = True) -> Self:
        """Sets the mode, as torch does; w_seg is computed anew."""
        self._w_seg = None
        return super().train(mode)

    def embeddings(self, labels: Tensor | None = None) -> Tensor:
        """Returns T's input (`class_embeddings`) for every label, [K + 1, D], or for labels int64 [L], [L, D]."""
        assert self.config.mask is not None
        return class_embeddings(self.detector, self.config.mask, self.word_vectors, labels)

    def mask_logits(self, roi_features: Tensor, labels: Tensor) -> Tensor:
        """RoI features [R, C_in, 14, 14] and labels int64 [R] (1-based) → logits [R, 28, 28], with w_seg from the
        detector's present weights. T runs for the distinct labels only."""
        distinct, position = labels.unique(return_inverse=True)
        w_seg = self.mask_branch.weights_of(distinct, self.embeddings(distinct))
        return self.mask_branch.logits(roi_features, w_seg[position])

    @torch.no_grad()
    def w_seg(self) -> Tensor:
        """Returns the mask weights of every label, [K + 1, C].

        T runs once, and again only after a weight, the mode or the precision changes.
        """
        vectors = [] if self.word_vectors is None else [self.word_vectors]
        weights = [*self.mask_branch.parameters(), *class_weights(self.detector), *vectors]
        kind = weights[0].device.type
        precision = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else torch.float32
        state = [*((weight.data_ptr(), weight._version) for weight in weights), self.mask_branch.training, precision]
        if self._w_seg is None or self._w_seg[0] != state:
            embeddings = self.embeddings()
            labels = torch.arange(len(embeddings), device=embeddings.device)
            self._w_seg = (state, self.mask_branch.class_weights(labels, embeddings))
        return self._w_seg[1]

    @torch.no_grad()
    def forward(self, images: Sequence[Tensor]) -> list[dict[str, Tensor]]:
        """Images float32 [3, H, W] in 0..1 → for each: boxes xyxy [N, 4] in its pixels, labels int64 [N] (1-based),
        scores [N] falling, and masks [N, 1, 28, 28], probabilities within the box."""
        encoded = self.encode(images)
        detections = self.detect(encoded)
        masks = self.segment(encoded, [d["boxes"] for d in detections], [d["labels"] for d in detections])
        return [{**d, "masks": m[:, None]} for d, m in zip(detections, masks, strict=True)]

    @torch.no_grad()
    def encode(self, images: Sequence[Tensor]) -> Encoded:
        """Scales, normalizes and pads images float32 [3, H, W] in 0..1, and runs the backbone.

        Raises DataError for an image that is not finite numbers.
        """
        check_images(images)
        batch, _ = self.detector.transform(list(images), None)
        sizes = [(int(h), int(w)) for h, w in batch.image_sizes]
        original = [(image.shape[-2], image.shape[-1]) for image in images]
        # Channels last is faster on CPUs, for the convolutions and for RoIAlign.
        tensors = batch.tensors.contiguous(memory_format=torch.channels_last)
        return Encoded(tensors, self.detector.backbone(tensors), sizes, original)

    @torch.no_grad()
    def detect(self, encoded: Encoded) -> list[dict[str, Tensor]]:
        """Returns for each image boxes xyxy [N, 4] in the original image's pixels, labels int64 [N] and scores [N]."""
        from torchvision.models.detection.image_list import ImageList

        proposals, _ = self.detector.rpn(ImageList(encoded.tensors, encoded.sizes), encoded.pyramid)
        detections, _ = self.detector.roi_heads(encoded.pyramid, proposals, encoded.sizes)
        scaled: list[dict[str, Tensor]] = self.detector.transform.postprocess(
            detections, encoded.sizes, encoded.original_sizes
        )
        return scaled

    @torch.no_grad()
    def segment(self, encoded: Encoded, boxes: Sequence[Tensor], labels: Sequence[Tensor]) -> list[Tensor]:
        """Segments boxes, xyxy [N, 4] in the original images' pixels, as objects of the labels int64 [N]: probabilities
        [N, 28, 28] for each image. Raises DataError for a box that is not finite or an unknown label."""
        check_boxes(boxes, labels, self.detector.roi_heads.box_predictor.cls_score.out_features - 1)
        counts = [len(b) for b in boxes]
        if sum(counts) == 0:
            return [b.new_zeros((0, MASK_SIZE, MASK_SIZE)) for b in boxes]
        groups = zip(
            in_groups(boxes, ROIS_AT_ONCE), self.w_seg()[torch.cat(list(labels))].split(ROIS_AT_ONCE), strict=True
        )
        masks = [
            self.mask_branch.logits(self.roi_features(encoded, group), w_seg).float().sigmoid()
            for group, w_seg in groups
        ]
        return list(torch.cat(masks).split(counts))

    @torch.no_grad()
    def roi_features(self, encoded: Encoded, boxes: Sequence[Tensor]) -> Tensor:
        """Returns the mask branch's input for boxes, xyxy [N, 4] in the original images' pixels: [R, C_in, 14, 14]."""
        scaled = [
            b * b.new_tensor([new[1] / old[1], new[0] / old[0]]).repeat(2)
            for b, new, old in zip(boxes, encoded.sizes, encoded.original_sizes, strict=True)
        ]
        features: Tensor = mask_roi_pool(self.detector)(encoded.pyramid, scaled, encoded.sizes)
        return features
