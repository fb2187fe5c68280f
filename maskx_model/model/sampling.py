"""Which anchors and proposals train: torchvision's sampler, drawing for each image of the batch apart."""

import torch
from torch import Tensor
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection._utils import BalancedPositiveNegativeSampler


class ImageSampler(BalancedPositiveNegativeSampler):
    """torchvision's sampler with random numbers of their own for each image of a batch.

    What is drawn for an image depends on torch's CPU generator and on the image's number in the whole batch, not on the
    images before it. So processes that share a batch draw what one process would.
    """

    first_image = 0
    """Number in the whole batch of the first image that this process has."""

    def __call__(self, matched_idxs: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """For each image labels [A] (-1 ignored, 0 background, 1 or more an object) → masks of the positives and of the
        negatives that were drawn, uint8 [A] each."""
        seed = int(torch.randint(2**40, ()))
        drawn = [self._draw(labels, seed + self.first_image + i) for i, labels in enumerate(matched_idxs)]
        return [positive for positive, _ in drawn], [negative for _, negative in drawn]

    def counts(self, labels: Tensor) -> tuple[int, int]:
        """How many positives and how many negatives are drawn of these labels."""
        return self._drawn_of(int((labels >= 1).sum()), int((labels == 0).sum()))

    def _drawn_of(self, positives: int, negatives: int) -> tuple[int, int]:
        drawn = min(positives, int(self.batch_size_per_image * self.positive_fraction))
        return drawn, min(negatives, self.batch_size_per_image - drawn)

    def _draw(self, labels: Tensor, seed: int) -> tuple[Tensor, Tensor]:
        generator = torch.Generator(labels.device).manual_seed(seed)
        kinds = [rows.nonzero()[:, 0] for rows in (labels >= 1, labels == 0)]
        masks = []
        for candidates, count in zip(kinds, self._drawn_of(*map(len, kinds)), strict=True):
            order = torch.randperm(len(candidates), generator=generator, device=labels.device)
            mask = torch.zeros_like(labels, dtype=torch.uint8)
            mask[candidates[order[:count]]] = 1
            masks.append(mask)
        return masks[0], masks[1]


def begin_at_image(detector: FasterRCNN, first: int) -> None:
    """Have the detector sample as a process whose first image is that one of the whole batch."""
    for module in (detector.rpn, detector.roi_heads):
        module.fg_bg_sampler.first_image = first
