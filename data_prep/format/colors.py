"""Pixels of every color mode as 8-bit RGB.

| pixels | become |
|---|---|
| grey, palette, 1-bit, CMYK, YCbCr | RGB, as Pillow converts them |
| with transparency | their colors; what is transparent is not painted over |
| 16 bits a channel | value / 256, rounded down, as OpenCV does |
| floats, all within 0 to 1 | value × 255, rounded |
| floats and 32-bit integers, all within 0 to 255 | their values, rounded down |
| the same, all within 0 to 65535 | value / 256, rounded down |

Floats and integers beyond that, and CIE Lab, are refused.
"""

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile

_SIXTEEN_BITS = frozenset({"I;16", "I;16L", "I;16B", "I;16N"})
_BY_RANGE = frozenset({"I", "F"})
_REFUSED = frozenset({"LAB", "HSV"})

Pixels = npt.NDArray[np.uint8]


def bits(image: Image.Image) -> int:
    """The bits of a channel in the file of an image that is not loaded yet, as far as it matters: 8, 16 or 32."""
    if image.mode in _BY_RANGE:
        return 32
    raw = str([tile[3] for tile in image.tile]) if isinstance(image, ImageFile.ImageFile) else ""
    return 16 if image.mode in _SIXTEEN_BITS or ";16" in raw else 8


def to_rgb(image: Image.Image) -> Pixels:
    """A loaded image as uint8 RGB [height, width, 3]; raises ValueError for pixels without a meaning as colors."""
    if image.mode in _SIXTEEN_BITS or image.mode in _BY_RANGE:
        return np.repeat(_eight_bits(image)[:, :, None], 3, axis=2)
    return np.array(_plain(image).convert("RGB"))  # a copy: torch takes no array that cannot be written


def to_grey(image: Image.Image) -> Pixels:
    """A loaded image's luminance, uint8 [height, width]; raises ValueError as `to_rgb`."""
    if image.mode in _SIXTEEN_BITS or image.mode in _BY_RANGE:
        return _eight_bits(image)
    return np.asarray(image if image.mode == "L" else _plain(image).convert("RGB").convert("L"))


def _plain(image: Image.Image) -> Image.Image:
    """The image in a mode that converts to RGB without a warning."""
    if image.mode in _REFUSED:
        raise ValueError(f"{image.mode} colors are not read; save it as RGB")
    image.info.pop("transparency", None)
    return image.convert("RGBA") if image.mode in ("RGBa", "PA") else image


def _eight_bits(image: Image.Image) -> Pixels:
    values = np.asarray(image)
    if image.mode in _SIXTEEN_BITS:
        return (values >> 8).astype(np.uint8)
    lowest, highest = values.min(), values.max()
    if not (lowest >= 0 and highest <= 65535):  # nor NaN
        raise ValueError(
            f"32-bit pixels from {lowest:g} to {highest:g}, beyond 0 to 65535: their colors are not known; "
            "save it with 8 bits a channel"
        )
    if highest <= 1 and image.mode == "F":
        values = np.rint(values * 255)
    elif highest > 255:
        values = np.floor(values / 256)
    return values.astype(np.uint8)
