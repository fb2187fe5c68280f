"""From the bytes of a photograph to pixels, the same way everywhere."""

import io
import warnings

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from data_prep.format.errors import DataError

MAX_PIXELS = 90_000_000

# Pillow only warns between its limit and twice that; here the limit is one.
Image.MAX_IMAGE_PIXELS = MAX_PIXELS


def decode_rgb(data: bytes, name: str) -> npt.NDArray[np.uint8]:
    """Decode a whole JPEG or PNG to uint8 RGB, shape (height, width, 3).

    Grey, palette and CMYK pictures become RGB; EXIF orientation is ignored, as COCO's coordinates do. Raises
    DataError, with `name` in it, for bytes that are not a whole image or hold more than 90 megapixels.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data)) as image:
                return np.asarray(image.convert("RGB"))
    except UnidentifiedImageError:  # its own text holds a memory address
        raise DataError(f"{name}: not a readable image (of no known format)") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(f"{name}: not a readable image ({error})") from None
