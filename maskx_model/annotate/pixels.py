"""An image's pixels as its annotations mean them: upright where only the turned image has the listed size."""

import io

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from data_prep.format.images import decode_rgb
from data_prep.storage.errors import DataError
from data_prep.storage.storage import read, read_range
from maskx_model.annotate.work import BoxedImage

Pixels = npt.NDArray[np.uint8]


def read_pixels(image: BoxedImage) -> Pixels:
    """The image, uint8 [H, W, 3] RGB.

    Raises DataError if it is missing or damaged, or has another size than listed, so that boxes would not fit.
    """
    if not image.uri:
        raise DataError("an image without a file name, or with one that leads out of the image folder")
    data = read(image.uri) if image.length < 0 else read_range(image.uri, image.offset, image.length)
    pixels = decode_rgb(data, image.uri)
    if (width_height := pixels.shape[1::-1]) == (image.width, image.height):
        return pixels
    upright = np.array(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))
    if upright.shape[1::-1] == (image.width, image.height):
        return upright
    raise DataError(
        f"{image.uri}: {width_height[0]}×{width_height[1]} pixels, listed as {image.width}×{image.height}: its boxes "
        "may belong to another copy; correct the size in the file"
    )
