"""Mask targets: what RoIAlign sees of the object's own mask."""

import numpy as np
import torch
from torchvision.models.detection.roi_heads import project_masks_on_boxes

from maskx_model.targets import decode_masks, mask_targets
from tests.maskx_model.samples import busy_samples, rle


def test_masks_decode_to_what_was_encoded() -> None:
    bitmaps = np.random.default_rng(0).random((3, 20, 30)) > 0.5
    assert np.array_equal(decode_masks([rle(each) for each in bitmaps]).numpy(), bitmaps)


def test_targets_equal_torchvisions_where_both_sample_alike() -> None:
    """torchvision takes as many samples in a cell as it has pixels, we take 2 × 2: the same from 28 to 56 pixels."""
    masks = torch.from_numpy(np.random.default_rng(0).random((5, 80, 90)) > 0.5).to(torch.uint8)
    generator = torch.Generator().manual_seed(0)
    corner = torch.rand(40, 2, generator=generator) * 30
    boxes = torch.cat([corner, corner + 28.5 + 27 * torch.rand(40, 2, generator=generator)], dim=1)
    matched = torch.arange(40) % 5
    torch.testing.assert_close(mask_targets(masks, boxes, matched), project_masks_on_boxes(masks, boxes, matched, 28))


def test_targets_are_near_torchvisions_for_boxes_of_any_size() -> None:
    for sample in busy_samples(4, count=6):
        masks = decode_masks([mask for mask in sample.masks if mask is not None])
        theirs = project_masks_on_boxes(masks, sample.boxes, torch.arange(4), 28)
        assert (mask_targets(masks, sample.boxes, torch.arange(4)) - theirs).abs().mean() < 0.02


def test_a_mask_that_fills_its_box_is_one_and_what_lies_beside_it_is_zero() -> None:
    masks = torch.zeros(1, 40, 40, dtype=torch.uint8)
    masks[:, 10:20, 10:30] = 1
    boxes = torch.tensor([[12.0, 12.0, 28.0, 18.0], [0.0, 22.0, 40.0, 40.0], [12.0, 2.0, 28.0, 28.0]])
    inside, beside, across = mask_targets(masks, boxes, torch.zeros(3, dtype=torch.int64))
    assert bool((inside == 1).all()) and bool((beside == 0).all())
    assert abs(across.mean().item() - 10 / 26) < 0.02
