"""Checks of the model's inputs at inference; an error names the image's position in the batch."""

from collections.abc import Sequence

import torch
from torch import Tensor

from data_prep.storage.errors import DataError


def check_images(images: Sequence[Tensor]) -> None:
    """Raises DataError for a batch without images, and for an image that is not float [3, H, W] of finite numbers. The
    error names its position in the batch."""
    if not images:
        raise DataError("a batch without images; at least one is needed")
    for position, image in enumerate(images):
        if image.ndim != 3 or image.shape[0] != 3 or image.numel() == 0:
            raise DataError(f"image {position} of the batch: shape {list(image.shape)}; [3, H, W] is needed")
        if not image.is_floating_point():
            dtype = str(image.dtype).removeprefix("torch.")
            raise DataError(f"image {position} of the batch: {dtype}; floating-point numbers from 0 to 1 are needed")
        if not torch.isfinite(image).all():
            raise DataError(f"image {position} of the batch: holds NaN or infinite numbers; 0 to 1 are needed")


def check_boxes(boxes: Sequence[Tensor], labels: Sequence[Tensor], classes: int) -> None:
    """Raises DataError for boxes to segment, xyxy [N, 4] for each image, that are not finite, and for labels int64 [N]
    other than 1 to `classes`. A box without area is valid: its mask has one pixel at most."""
    for position, (of_image, known) in enumerate(zip(boxes, labels, strict=True)):
        where = f"image {position} of the batch"
        if of_image.shape != (len(known), 4):
            raise DataError(f"{where}: boxes {list(of_image.shape)} for {len(known)} labels; each needs one")
        if (row := first_true(~torch.isfinite(of_image).all(1))) is not None:
            raise DataError(f"{where}: box {row} is {of_image[row].tolist()}; finite numbers are needed")
        if (row := first_true((known < 1) | (known > classes))) is not None:
            raise DataError(
                f"{where}: box {row} is of class {int(known[row]) - 1}, but the model knows classes 0 to {classes - 1}"
            )


def first_true(flags: Tensor) -> int | None:
    """Returns the position of the first True in flags, bool [N], or None."""
    return int(flags.nonzero()[0, 0]) if flags.any() else None
