"""An image's pixels as its annotations mean them: as stored, or upright as its EXIF data and the run's rule say."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from data_prep.format.images import decode_with_orientation
from data_prep.format.orientation import AS_STORED, turned
from data_prep.storage.errors import DataError
from data_prep.storage.storage import read, read_range
from maskx_model.annotate.work import BoxedImage

ROUNDING = 2
"""Pixels by which exports that round, or count from the first pixel, list another size."""
Pixels = npt.NDArray[np.uint8]


class ReadImage(NamedTuple):
    """An image's pixels, uint8 [H, W, 3] RGB. `left_as_stored`: it has an EXIF orientation, by which the rule `auto`
    did not turn it."""

    pixels: Pixels
    left_as_stored: bool = False


def read_pixels(image: BoxedImage) -> ReadImage:
    """Read an image by its rule `exif`. With `auto`, the listed size tells: it is read upright if it fits better so.

    Where no size is listed, or one that rounding explains, the file's is right; with `apply`, also where the stored
    image's is listed. Raises DataError if it is missing or damaged, or has another size than listed, so that boxes
    would not fit.
    """
    if not image.uri:
        raise DataError("an image without a file name, or with one that leads out of the image folder")
    data = read(image.uri) if image.length < 0 else read_range(image.uri, image.offset, image.length)
    stored, orientation = decode_with_orientation(data, image.uri)
    if orientation == AS_STORED or image.exif == "ignore":
        _check_size(stored, image)
        return ReadImage(stored)
    upright = turned(stored, orientation)
    if image.exif == "apply":
        _check_size(min(upright, stored, key=lambda pixels: _off(pixels, image)), image)
        return ReadImage(upright)
    fitting = min(stored, upright, key=lambda pixels: _off(pixels, image))
    _check_size(fitting, image)
    return ReadImage(fitting, left_as_stored=fitting is stored)


def _check_size(pixels: Pixels, image: BoxedImage) -> None:
    height, width = pixels.shape[:2]
    if _off(pixels, image) > ROUNDING:
        raise DataError(
            f"{image.uri}: {width}×{height} pixels, listed as {image.width}×{image.height}: its boxes "
            "may belong to another copy; correct the size in the file"
        )


def _off(pixels: Pixels, image: BoxedImage) -> int:
    """By how many pixels the listed size is another; 0 where none is listed."""
    if not image.width or not image.height:
        return 0
    height, width = pixels.shape[:2]
    off: int = max(abs(width - image.width), abs(height - image.height))
    return off
