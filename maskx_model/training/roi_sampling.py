"""Positive RoIs of A with their frozen features and mask targets (§3.2): the mask head's training data."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor
from torchvision.models.detection import FasterRCNN
from torchvision.ops import clip_boxes_to_image

from maskx_model.data.input_checks import check_features, check_sample
from maskx_model.data.samples import Sample
from maskx_model.masks.targets import mask_targets
from maskx_model.model.mask_branch import mask_roi_pool
from maskx_model.model.roi_heads import MatchedRois
from maskx_model.schedules import RoiKind
from maskx_model.training.frozen_image import FrozenFeatures, FrozenImage, frozen_image

JITTER = 0.1
"""A jittered side moves by up to this fraction of the box's width or height."""


@dataclass(frozen=True)
class RoiBatch:
    """R RoIs: features [R, C, 14, 14], labels int64 [R] (1-based, all in A), targets float32 [R, 28, 28], and the
    targets' weights in the loss, float32 [R]."""

    features: Tensor
    labels: Tensor
    targets: Tensor
    weights: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, rows: Tensor) -> "RoiBatch":
        """Those RoIs only."""
        return RoiBatch(self.features[rows], self.labels[rows], self.targets[rows], self.weights[rows])

    def to(self, device: torch.device) -> "RoiBatch":
        """The same RoIs on that device."""
        columns = (self.features, self.labels, self.targets, self.weights)
        return RoiBatch(*(each.to(device) for each in columns))


@torch.no_grad()
def sampled_rois(
    detector: FasterRCNN,
    samples: Sequence[Sample],
    cached_proposals: int | None = None,
    kind: RoiKind = "proposals",
    features: FrozenFeatures | None = None,
) -> RoiBatch:
    """Positive RoIs of the objects that have masks, from a detector in eval mode, which takes each image alone.

    As in the paper: proposals and ground-truth boxes, sampled as for the box head, of which the positives remain. With
    `cached_proposals` instead each object's ground-truth box and up to this number of its proposals. The other kinds
    (see `MaskSchedule.rois`) need no proposals. `features`: where what is frozen comes from; None computes it. Raises
    DataError for a sample that cannot be trained on, and for features that are not finite.
    """
    classes = detector.roi_heads.box_predictor.cls_score.out_features - 1
    for sample in samples:
        check_sample(sample, classes)
    images = [features(s) if features else frozen_image(detector, s, kind == "proposals") for s in samples]
    for sample, image in zip(samples, images, strict=True):
        if image.proposals is not None and len(image.proposals) == 0:  # so it is where features are not finite
            check_features(next(iter(image.pyramid.values())), [sample])
    chosen = _chosen(detector, samples, images, cached_proposals, kind)
    rois, labels, wanted, objects = rois_with_masks(samples, chosen, [image.size for image in images])
    pooled = torch.cat(
        [mask_roi_pool(detector)(image.pyramid, [own], [image.size]) for image, own in zip(images, rois, strict=True)]
    )
    check_features(pooled, samples)
    return RoiBatch(pooled, labels, wanted, mask_weights(samples, wanted)[objects])


def _chosen(
    detector: FasterRCNN,
    samples: Sequence[Sample],
    images: Sequence[FrozenImage],
    cached_proposals: int | None,
    kind: RoiKind,
) -> MatchedRois:
    """The RoIs of all images, drawn as `sampled_rois` says."""
    targets = [image.target(sample) for image, sample in zip(images, samples, strict=True)]
    if kind == "proposals":
        proposals = [image.proposals for image in images if image.proposals is not None]
        return _proposals(detector, proposals, targets, cached_proposals)
    chosen = _ground_truth(targets, copies=1 if kind == "gt" else 1 + (cached_proposals or 0))
    if kind == "gt":
        return chosen
    return chosen._replace(rois=[jittered(boxes, image.size) for boxes, image in zip(chosen.rois, images, strict=True)])


def mask_weights(samples: Sequence[Sample], like: Tensor) -> Tensor:
    """The weight of every object's mask, those of all samples together, float32 [N]."""
    return like.new_tensor([w for s in samples for w in s.mask_weights or [1.0] * len(s.masks)])


def rois_with_masks(
    samples: Sequence[Sample],
    chosen: MatchedRois,
    sizes: Sequence[tuple[int, int]],
) -> tuple[list[Tensor], Tensor, Tensor, Tensor]:
    """Of the RoIs of images, the positive ones whose object has a mask, each with the mask of the very object it
    was matched to: the mask loss is filtered to A here.

    `sizes`: (height, width) of each image in the network's pixels. Returns RoIs [R_i, 4] of each image, and
    of all together labels int64 [R], targets float32 [R, 28, 28] and the objects' numbers among all, int64 [R].
    """
    masks = [mask for sample in samples for mask in sample.masks]
    counts = [len(sample.masks) for sample in samples]
    rois, labels = torch.cat(chosen.rois), torch.cat(chosen.labels)
    # Of each image: how many objects the ones before it have, and what its masks' pixels are to the network's.
    before = [0, *accumulate(counts)][:-1]
    scales = [
        (sample.image.shape[1] / width, sample.image.shape[0] / height)
        for sample, (height, width) in zip(samples, sizes, strict=True)
    ]
    has_mask = torch.tensor([mask is not None for mask in masks], dtype=torch.bool, device=rois.device)
    image_of = torch.repeat_interleave(
        torch.arange(len(samples), device=rois.device),
        torch.tensor([len(each) for each in chosen.rois], device=rois.device),
        output_size=len(rois),
    )
    objects = torch.cat(chosen.matched) + torch.tensor(before, device=rois.device)[image_of]
    positive = (labels > 0).nonzero()[:, 0]
    positive = positive[has_mask[objects[positive]]]
    of, boxes = image_of[positive], rois[positive]
    targets = mask_targets(masks, boxes * boxes.new_tensor(scales)[of].repeat(1, 2), objects[positive])
    of_each = list(boxes.split(of.bincount(minlength=len(samples)).tolist()))
    return of_each, labels[positive], targets, objects[positive]


def jittered(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Boxes xyxy [N, 4] whose sides have moved by up to a tenth of the box's width or height, drawn from torch's
    generator, and cut to an image of `size` (height, width)."""
    sides = (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)
    moved = boxes + JITTER * sides * (2 * torch.rand_like(boxes) - 1)
    inside: Tensor = clip_boxes_to_image(moved, size)
    return inside


def _ground_truth(targets: list[dict[str, Tensor]], copies: int) -> MatchedRois:
    objects = [torch.arange(len(t["boxes"]), device=t["boxes"].device).repeat(copies) for t in targets]
    pairs = list(zip(targets, objects, strict=True))
    return MatchedRois([t["boxes"][each] for t, each in pairs], objects, [t["labels"][each] for t, each in pairs])


def _proposals(
    detector: FasterRCNN, proposals: list[Tensor], targets: list[dict[str, Tensor]], per_object: int | None
) -> MatchedRois:
    """As sampled for the box head; or each object's ground-truth box, and up to `per_object` of its positives."""
    if per_object is None:
        rois, matched, labels, _ = detector.roi_heads.select_training_samples(proposals, targets)
        return MatchedRois(rois, matched, labels)
    objects = _ground_truth(targets, copies=1)
    matches = detector.roi_heads.assign_targets_to_proposals(proposals, objects.rois, objects.labels)
    others = MatchedRois(proposals, *matches)
    picks = [
        _some_of_each(matched, labels > 0, len(boxes), per_object)
        for matched, labels, boxes in zip(others.matched, others.labels, objects.rois, strict=True)
    ]
    return MatchedRois(
        *(
            [torch.cat([own, other[pick]]) for own, other, pick in zip(owns, rest, picks, strict=True)]
            for owns, rest in zip(objects, others, strict=True)
        )
    )


def _some_of_each(matched: Tensor, positive: Tensor, objects: int, count: int) -> Tensor:
    """At random up to `count` positives of each object: positions in `matched`, int64."""
    chosen = [matched[:0]]
    for obj in range(objects):
        candidates = ((matched == obj) & positive).nonzero()[:, 0]
        chosen.append(candidates[torch.randperm(len(candidates), device=candidates.device)[:count]])
    return torch.cat(chosen)
