"""An image's pixels as its annotations mean them: upright where only the turned image has the listed size."""

import numpy as np
import numpy.typing as npt

from data_prep.format.images import decode_rgb
from data_prep.storage.errors import DataError
from data_prep.storage.storage import read, read_range
from maskx_model.annotate.work import BoxedImage

ROUNDING = 2
"""Pixels by which exports that round, or count from the first pixel, list another size."""
Pixels = npt.NDArray[np.uint8]


def read_pixels(image: BoxedImage) -> Pixels:
    """The image, uint8 [H, W, 3] RGB.

    Where no size is listed, or one that rounding explains, the file's is right. Raises DataError if it is missing or
    damaged, or has another size than listed, so that boxes would not fit.
    """
    if not image.uri:
        raise DataError("an image without a file name, or with one that leads out of the image folder")
    data = read(image.uri) if image.length < 0 else read_range(image.uri, image.offset, image.length)
    pixels = decode_rgb(data, image.uri, upright=image.upright)
    width, height = pixels.shape[1::-1]
    if not image.width or not image.height or _close((width, height), image):
        return pixels
    upright = decode_rgb(data, image.uri, upright=True)
    if _close((upright.shape[1], upright.shape[0]), image):
        return upright
    raise DataError(
        f"{image.uri}: {width}×{height} pixels, listed as {image.width}×{image.height}: its boxes "
        "may belong to another copy; correct the size in the file"
    )


def _close(size: tuple[int, int], image: BoxedImage) -> bool:
    return abs(size[0] - image.width) <= ROUNDING and abs(size[1] - image.height) <= ROUNDING
