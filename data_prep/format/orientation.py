"""The orientation in which an image is to be shown, by its EXIF data, and pixels turned to it.

Orientations are EXIF's numbers, 1 to 8. At 1 the image is shown as it is stored; from 5 on, width and height change
places.
"""

import numpy as np
import numpy.typing as npt
from PIL import Image, TiffImagePlugin

AS_STORED = 1
_TAG = 0x0112
_QUARTER = 5
_BACK = {6: 8, 8: 6}

Pixels = npt.NDArray[np.uint8]


def load(image: Image.Image) -> int:
    """Decode an image and return its orientation; one that is damaged or out of range is taken for 1."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):  # forgets its own when it is loaded
        stated = image.tag_v2.get(_TAG)
        image.load()
    else:
        image.load()
        stated = _of_exif(image)
    return stated if isinstance(stated, int) and stated in range(1, 9) else AS_STORED


def _of_exif(image: Image.Image) -> object:
    try:
        return image.getexif().get(_TAG)
    except Exception:  # whatever is wrong in data that only cameras need costs no image
        return None


def swaps_sides(orientation: int) -> bool:
    """Whether width and height of the stored image change places when it is shown."""
    return orientation >= _QUARTER


def is_shown_when_loaded(image: Image.Image) -> bool:
    """Whether Pillow turns the image itself: it does so with TIFF alone."""
    return isinstance(image, TiffImagePlugin.TiffImageFile)


def turned(pixels: Pixels, orientation: int) -> Pixels:
    """The pixels, [height, width, …] as stored, in the orientation in which they are to be shown."""
    if orientation in (2, 3, 7, 8):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 6, 7):
        pixels = pixels[::-1]
    if swaps_sides(orientation):
        pixels = pixels.swapaxes(0, 1)
    return np.ascontiguousarray(pixels)


def turned_back(pixels: Pixels, orientation: int) -> Pixels:
    """The inverse of `turned`."""
    return turned(pixels, _BACK.get(orientation, orientation))
