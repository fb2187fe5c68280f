"""From the bytes of an image to pixels, the same way everywhere."""

import io
import math
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from data_prep.format.colors import bits, to_grey, to_rgb
from data_prep.format.image_kinds import KINDS_READ, describe, extension
from data_prep.format.orientation import (
    AS_STORED,
    is_shown_when_loaded,
    load,
    swaps_sides,
    turned,
    turned_back,
)
from data_prep.storage.errors import DataError

MAX_PIXELS = 90_000_000
"""Larger images are refused before they are decoded. Pillow itself only warns up to twice its limit."""
Image.MAX_IMAGE_PIXELS = MAX_PIXELS  # its own limit is a little lower: it would warn of images that are read
# A piece of a PNG's compressed text may be as large as Pillow lets all of it be (64 MiB), not 1 MiB.
PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY
# It warns of odd tags that no pixel depends on.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.\w+ImagePlugin")

_READERS = {
    "jpg": JpegImagePlugin.JpegImageFile.format,
    "png": PngImagePlugin.PngImageFile.format,
    "webp": WebPImagePlugin.WebPImageFile.format,
    "bmp": BmpImagePlugin.BmpImageFile.format,
    "tif": TiffImagePlugin.TiffImageFile.format,
    "gif": GifImagePlugin.GifImageFile.format,
}
# What Pillow's readers raise for damaged files.
_DAMAGED = (
    OSError,
    ValueError,
    SyntaxError,
    LookupError,
    TypeError,
    ArithmeticError,
    AttributeError,
    RuntimeError,
    EOFError,
    struct.error,
    Image.DecompressionBombError,
    Warning,
)
_UNREAD_TIFF = (
    "damaged, or a TIFF of a form that is not read, such as floating-point colors or many bands; save it with 8 bits a "
    "channel"
)
_SUBFILE_TYPE, _REDUCED = 254, 1

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Luminance:
    """What an image shows, without its colors, as it is stored.

    `width` and `height` are the image's in pixels; `grey`, uint8[rows, columns], may be smaller by 2, 4 or 8.
    `orientation` is EXIF's number, 1 to 8 (`orientation.py`). `bits` of a channel are 8, 16 or 32, as far as it matters
    (`colors.py`).
    """

    width: int
    height: int
    grey: Pixels
    orientation: int = AS_STORED
    bits: int = 8

    @property
    def upright_size(self) -> tuple[int, int]:
        """Width and height of the image when it is shown upright."""
        return (self.height, self.width) if swaps_sides(self.orientation) else (self.width, self.height)

    @property
    def upright(self) -> Pixels:
        """`grey` in the orientation in which it is to be shown."""
        return turned(self.grey, self.orientation)

    @property
    def frames(self) -> list[Pixels]:
        """`grey`, and `upright` where that differs: a copy of the image may show either."""
        return [self.grey] if self.orientation == AS_STORED else [self.grey, self.upright]


def decode_rgb(data: bytes, name: str, *, upright: bool = False, scale: float = 1.0) -> Pixels:
    """Decode a whole image (JPEG, PNG, WebP, BMP, TIFF or GIF, its first frame) to uint8 RGB, (height, width, 3).

    With a `scale` below 1 a JPEG comes at 1/2, 1/4 or 1/8 of its size, sides rounded up, where both are still `scale`
    of its own or more: all bits are read, but fewer coefficients transformed.

    `colors.py` says how other colors become RGB. The image is as it is stored, as COCO's coordinates expect, or turned
    to its EXIF orientation where `upright`. Raises DataError, with `name` in it, for bytes that are not a whole image
    or hold more than 90 megapixels.
    """
    with _open(data, name) as image:
        if scale < 1:
            image.draft(None, (math.ceil(image.width * scale), math.ceil(image.height * scale)))
        orientation = load(image)
        return _oriented(to_rgb(image), orientation, is_shown_when_loaded(image), upright)


def decode_with_orientation(data: bytes, name: str) -> tuple[Pixels, int]:
    """Decode a whole image as it is stored, as `decode_rgb` does, and give its orientation, 1 to 8: `turned` makes it
    upright."""
    with _open(data, name) as image:
        orientation = load(image)
        return _oriented(to_rgb(image), orientation, is_shown_when_loaded(image), upright=False), orientation


def decode_luminance(data: bytes, name: str, least: int) -> Luminance:
    """Decode a whole image to luminance of at least `least` rows and columns, if it has as many.

    It raises DataError for the same bytes as `decode_rgb`, at half the cost: a JPEG's every bit is read, but only as
    many of its coefficients transformed as the smaller picture needs.
    """
    with _open(data, name) as image:
        width, height = image.size
        channel_bits = bits(image)
        image.draft("L", (least, least))
        orientation = load(image)
        shown = is_shown_when_loaded(image)
        if shown and swaps_sides(orientation):
            width, height = height, width
        grey = _oriented(to_grey(image), orientation, shown, upright=False)
        return Luminance(width, height, grey, orientation, channel_bits)


def _oriented(pixels: Pixels, orientation: int, is_upright: bool, upright: bool) -> Pixels:
    if orientation == AS_STORED or is_upright == upright:
        return pixels
    return turned(pixels, orientation) if upright else turned_back(pixels, orientation)


@contextmanager
def _open(data: bytes, name: str) -> Iterator[Image.Image]:
    """The image, still to be decoded within the block; whatever is wrong with it becomes a DataError."""
    kind = extension(data)
    if kind is None:
        raise DataError(f"{name}: not a readable image ({describe(data)}; {KINDS_READ} are read)")
    try:
        with Image.open(io.BytesIO(data), formats=(_READERS[kind],)) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise DataError(
                    f"{name}: not a readable image ({width} × {height} pixels; at most 90 megapixels are read)"
                )
            if _is_preview(image):
                raise DataError(f"{name}: not a readable image (it begins with a preview, as a camera's raw file)")
            yield image
    except UnidentifiedImageError:  # its own text holds a memory address
        why = _UNREAD_TIFF if kind == "tif" else f"damaged, though it begins as {_READERS[kind]}"
        raise DataError(f"{name}: not a readable image ({why})") from None
    except _DAMAGED as error:
        raise DataError(f"{name}: not a readable image ({error})") from None


def _is_preview(image: Image.Image) -> bool:
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return False
    kind = image.tag_v2.get(_SUBFILE_TYPE)
    return isinstance(kind, int) and bool(kind & _REDUCED)
