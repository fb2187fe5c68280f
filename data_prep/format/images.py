"""From the bytes of an image to pixels, the same way everywhere."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from data_prep.storage.errors import DataError

MAX_PIXELS = 90_000_000
"""Larger images are refused before they are decoded. Pillow itself only warns up to twice its limit."""
Image.MAX_IMAGE_PIXELS = MAX_PIXELS  # its own limit is a little lower: it would warn of images that are read


@dataclass(frozen=True)
class Luminance:
    """What an image shows, without its colours.

    `width` and `height` are the image's in pixels; `grey`, uint8[rows, columns], may be smaller by 2, 4 or 8.
    """

    width: int
    height: int
    grey: npt.NDArray[np.uint8]


def decode_rgb(data: bytes, name: str) -> npt.NDArray[np.uint8]:
    """Decode a whole JPEG or PNG to uint8 RGB, shape (height, width, 3).

    Grey, palette and CMYK pictures become RGB; EXIF orientation is ignored, as COCO's coordinates do. Raises
    DataError, with `name` in it, for bytes that are not a whole image or hold more than 90 megapixels.
    """
    with _open(data, name) as image:
        return np.array(image.convert("RGB"))  # a copy: torch takes no array that cannot be written


def decode_luminance(data: bytes, name: str, least: int) -> Luminance:
    """Decode a whole JPEG or PNG to luminance of at least `least` rows and columns, if it has as many.

    It raises DataError for the same bytes as `decode_rgb`, at half the cost: a JPEG's every bit is read, but only as
    many of its coefficients transformed as the smaller picture needs.
    """
    with _open(data, name) as image:
        width, height = image.size
        image.draft("L", (least, least))
        shown = image if image.mode == "L" else image.convert("RGB")
        return Luminance(width, height, np.asarray(shown.convert("L")))


@contextmanager
def _open(data: bytes, name: str) -> Iterator[Image.Image]:
    """The image, still to be decoded within the block; whatever is wrong with it becomes a DataError."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise DataError(
                    f"{name}: not a readable image ({width} × {height} pixels; at most 90 megapixels are read)"
                )
            yield image
    except UnidentifiedImageError:  # its own text holds a memory address
        raise DataError(f"{name}: not a readable image (of no known format)") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(f"{name}: not a readable image ({error})") from None
