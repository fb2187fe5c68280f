"""RoIAlign by rows: torchvision's numbers and gradients, whatever the boxes."""

from collections import OrderedDict

import pytest
import torch
from torch import Tensor
from torchvision.ops import MultiScaleRoIAlign, roi_align

from maskx_model.model.cpu.roi_align import RowRoIAlign, roi_align_rows


def boxes_of(count: int, seed: int, extent: float = 30.0) -> Tensor:
    """Boxes of many sizes, some partly or wholly outside an image of `extent`, one without area."""
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator) * extent * 1.3 - 0.15 * extent
    boxes = torch.cat([corner, corner + torch.rand(count, 2, generator=generator) ** 2 * extent], dim=1)
    return torch.cat([boxes, boxes.new_tensor([[3.0, 4.0, 3.0, 4.0], [0.0, 0.0, extent, extent]])])


@pytest.mark.parametrize("sampling_ratio", [1, 2, 3])
def test_a_level_gives_torchvisions_numbers(sampling_ratio: int) -> None:
    features = torch.randn(2, 5, 20, 31, generator=torch.Generator().manual_seed(0))
    boxes, images = boxes_of(40, 1), torch.arange(42) % 2
    found = roi_align_rows(features, boxes, images, (7, 4), sampling_ratio)
    rois = torch.cat([images[:, None], boxes], dim=1)
    torch.testing.assert_close(found, roi_align(features, rois, (7, 4), 1.0, sampling_ratio), rtol=1e-5, atol=1e-5)


def pyramid(memory_format: torch.memory_format) -> "OrderedDict[str, Tensor]":
    generator = torch.Generator().manual_seed(2)
    return OrderedDict(
        (
            str(level),
            torch.randn(2, 6, 64 >> level, 80 >> level, generator=generator).contiguous(memory_format=memory_format),
        )
        for level in range(3)
    )


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_a_pyramid_gives_torchvisions_numbers_and_gradients(memory_format: torch.memory_format) -> None:
    sizes, boxes = [(250, 300), (256, 320)], [boxes_of(30, 3, 250.0), boxes_of(20, 4, 250.0)]
    results = []
    for kind in (RowRoIAlign, MultiScaleRoIAlign):
        levels = pyramid(memory_format)
        for level in levels.values():
            level.requires_grad_()
        pooled = kind(["0", "1", "2"], 7, 2)(levels, boxes, sizes)
        weights = torch.randn(pooled.shape, generator=torch.Generator().manual_seed(5))
        results.append([pooled, *torch.autograd.grad((pooled * weights).sum(), list(levels.values()))])
    assert all((level != 0).any() for level in results[1])  # every level has RoIs
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_no_boxes_give_an_empty_result() -> None:
    pooled = RowRoIAlign(["0", "1"], 7, 2)(pyramid(torch.channels_last), [torch.zeros(0, 4)] * 2, [(256, 320)] * 2)
    assert pooled.shape == (0, 6, 7, 7)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])  # by rows, and by torchvision
@pytest.mark.parametrize("height", [1, 22, 33, 45, 65, 67, 800])
def test_features_of_a_box_come_from_where_it_is_however_low_the_image(height: int, dtype: torch.dtype) -> None:
    """The features are where they lie along x, in the image's pixels; the image is padded to a multiple of 32."""
    levels = OrderedDict()
    for level, stride in enumerate((4, 8, 16, 32)):
        ramp = torch.arange(1344 // stride, dtype=dtype) * stride
        levels[str(level)] = ramp.expand(1, 1, -(-height // 32) * 32 // stride, -1)
    boxes = torch.tensor([[380.0, 0.0, 420.0, height], [240.0, 0.0, 560.0, height]], dtype=dtype)
    middle = RowRoIAlign(list(levels), 7, 2)(levels, [boxes], [(height, 1333)])[:, 0, :, 3]
    torch.testing.assert_close(middle, torch.full_like(middle, 400.0))
