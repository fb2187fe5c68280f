"""What the mask head trains on: positive RoIs of A with their frozen features and mask targets (§3.2)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.models.detection import FasterRCNN
from torchvision.ops import MultiScaleRoIAlign

from data_prep.format.records import Rle
from maskx_model.dataset import Sample
from maskx_model.mask_head import ROI_SIZE
from maskx_model.targets import decode_masks, mask_targets


@dataclass(frozen=True)
class RoiBatch:
    """R RoIs: features [R, C, 14, 14], labels int64 [R] (1-based, all in A), targets float32 [R, 28, 28]."""

    features: Tensor
    labels: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, rows: Tensor) -> "RoiBatch":
        """Those RoIs only."""
        return RoiBatch(self.features[rows], self.labels[rows], self.targets[rows])


def mask_roi_pool(detector: FasterRCNN) -> MultiScaleRoIAlign:
    """RoIAlign to 14 × 14 on the levels that the box head uses."""
    return MultiScaleRoIAlign(detector.roi_heads.box_roi_pool.featmap_names, output_size=ROI_SIZE, sampling_ratio=2)


@torch.no_grad()
def sampled_rois(detector: FasterRCNN, samples: Sequence[Sample], cached_proposals: int | None = None) -> RoiBatch:
    """Positive RoIs of the objects that have masks, from a detector in eval mode.

    As in the paper: proposals and ground-truth boxes, sampled as for the box head, positives kept. With
    `cached_proposals` instead each object's ground-truth box and that many of its proposals. The loss is filtered
    here to objects with masks; each RoI's target is the mask of the very object it was matched to.
    """
    device = next(detector.parameters()).device
    images = [sample.image_tensor().to(device) for sample in samples]
    targets = [{name: value.to(device) for name, value in sample.target().items()} for sample in samples]
    batch, scaled = detector.transform(images, targets)
    pyramid = detector.backbone(batch.tensors)
    proposals, _ = detector.rpn(batch, pyramid)
    if cached_proposals is None:
        rois, matched, labels, _ = detector.roi_heads.select_training_samples(proposals, scaled)
    else:
        rois, matched, labels = _rois_by_object(detector, proposals, scaled, cached_proposals)
    kept, kept_labels, kept_targets = [], [], []
    for i, sample in enumerate(samples):
        has_mask = torch.tensor([mask is not None for mask in sample.masks], dtype=torch.bool, device=device)
        positive = (labels[i] > 0).nonzero()[:, 0]
        positive = positive[has_mask[matched[i][positive]]]
        kept.append(rois[i][positive])
        kept_labels.append(labels[i][positive])
        scale = torch.tensor(sample.image.shape[1::-1], device=device) / torch.tensor(
            batch.image_sizes[i][::-1], device=device
        )
        kept_targets.append(_targets(sample.masks, matched[i][positive], kept[-1] * scale.repeat(2)))
    features = mask_roi_pool(detector)(pyramid, kept, batch.image_sizes)
    return RoiBatch(features, torch.cat(kept_labels), torch.cat(kept_targets))


def _targets(masks: Sequence[Rle | None], matched: Tensor, boxes: Tensor) -> Tensor:
    if len(matched) == 0:
        return boxes.new_zeros((0, 2 * ROI_SIZE, 2 * ROI_SIZE))
    distinct, position = matched.unique(return_inverse=True)
    decoded = decode_masks([mask for i in distinct.tolist() if (mask := masks[i]) is not None])
    return mask_targets(decoded.to(boxes.device), boxes, position)


def _rois_by_object(
    detector: FasterRCNN, proposals: list[Tensor], targets: list[dict[str, Tensor]], per_object: int
) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    boxes, labels = [t["boxes"] for t in targets], [t["labels"] for t in targets]
    matched, proposal_labels = detector.roi_heads.assign_targets_to_proposals(proposals, boxes, labels)
    rois_out, matched_out, labels_out = [], [], []
    for i in range(len(targets)):
        chosen = []
        for obj in range(len(boxes[i])):
            candidates = ((matched[i] == obj) & (proposal_labels[i] > 0)).nonzero()[:, 0]
            chosen.append(candidates[torch.randperm(len(candidates), device=candidates.device)[:per_object]])
        picks = torch.cat(chosen) if chosen else matched[i][:0]
        rois_out.append(torch.cat([boxes[i], proposals[i][picks]]))
        matched_out.append(torch.cat([torch.arange(len(boxes[i]), device=picks.device), matched[i][picks]]))
        labels_out.append(torch.cat([labels[i], proposal_labels[i][picks]]))
    return rois_out, matched_out, labels_out


def cached_rois(detector: FasterRCNN, batches: Iterator[list[Sample]], per_object: int) -> RoiBatch:
    """All RoIs of those photographs in memory, features in half precision's range kept as float16."""
    parts = [sampled_rois(detector, samples, per_object) for samples in batches]
    return RoiBatch(
        torch.cat([p.features.half() for p in parts]),
        torch.cat([p.labels for p in parts]),
        torch.cat([p.targets for p in parts]),
    )
