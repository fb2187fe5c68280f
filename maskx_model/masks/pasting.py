"""From 28 × 28 probabilities within boxes to masks over the image, without a bitmap of the image."""

import numpy as np
import numpy.typing as npt
from torch import Tensor
from torch.nn import functional as F
from torchvision.models.detection.roi_heads import expand_boxes, expand_masks

from data_prep.format.records import Rle
from data_prep.format.rle import encode_edges
from maskx_model.masks.pasting_cuda import paste_together

MASK_THRESHOLD = 0.5


def paste(masks: Tensor, boxes: Tensor, size: tuple[int, int]) -> list[Rle]:
    """Probabilities float32 [N, 28, 28] in 0..1 within boxes xyxy [N, 4] → masks over an image of `size` (height,
    width), where torchvision's `paste_masks_in_image` gives more than 0.5.

    Each mask is resampled to its own box and its run lengths are put where the box is: memory is one box's. On a GPU
    some are made together (`paste_together`).
    """
    if len(masks) == 0:
        return []
    padded, scale = expand_masks(masks[:, None], padding=1)
    frames = expand_boxes(boxes, scale).long()
    if masks.device.type != "cpu":
        return paste_together(padded[:, 0], frames, size, MASK_THRESHOLD)
    return [_paste(mask, frame, size) for mask, frame in zip(padded, frames.tolist(), strict=True)]


def _paste(mask: Tensor, frame: list[int], size: tuple[int, int]) -> Rle:
    """A padded mask [1, 30, 30] into its padded box, whole pixels xyxy."""
    left, top, right, bottom = frame
    shape = (max(bottom - top + 1, 1), max(right - left + 1, 1))
    resampled = F.interpolate(mask[None], size=shape, mode="bilinear", align_corners=False)[0, 0]
    x, y = max(left, 0), max(top, 0)
    part = resampled[
        y - top : max(min(bottom + 1, size[0]) - top, 0), x - left : max(min(right + 1, size[1]) - left, 0)
    ]
    return encode_part((part > MASK_THRESHOLD).numpy(), x, y, size)


def encode_part(part: npt.NDArray[np.bool_], x: int, y: int, size: tuple[int, int]) -> Rle:
    """The bitmap bool [h, w] at column `x` and row `y` of an image of `size` (height, width) that is empty elsewhere,
    as pycocotools encodes the whole image's bitmap."""
    height = size[0]
    lines = np.zeros((part.shape[1], part.shape[0] + 2), np.int8)
    lines[:, 1:-1] = part.T
    column, row = np.diff(lines, axis=1).nonzero()
    return encode_edges((x + column) * height + y + row, size)
