"""Read an image's file once: check that it is whole and as listed, and decode its luminance for comparison."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from data_prep.content.held_out import LEAST_SIDE
from data_prep.format.images import decode_luminance
from data_prep.sources.images import SourceImage
from data_prep.sources.reasons import BrokenError
from data_prep.storage.errors import DataError
from data_prep.storage.read_ahead import Read
from data_prep.storage.storage import read

_SIGNATURES = ((b"\xff\xd8\xff", "jpg"), (b"\x89PNG\r\n\x1a\n", "png"))


@dataclass(frozen=True)
class ImageFile:
    """A whole image: the file's bytes, `jpg` or `png`, its width and height in pixels, and its luminance, uint8[rows,
    columns], maybe reduced."""

    data: bytes
    extension: str
    width: int
    height: int
    grey: npt.NDArray[np.uint8]


def read_image_file(image: SourceImage, read: Read = read) -> ImageFile:
    """Read the image's file by `read`; raises BrokenError unless all of it decodes."""
    try:
        data = read(image.path)
        shown = decode_luminance(data, image.path, LEAST_SIDE)
    except DataError as error:
        raise BrokenError("unreadable", str(error).removeprefix(f"{image.path}: ")) from None
    extension = next((name for signature, name in _SIGNATURES if data.startswith(signature)), None)
    if extension is None:
        raise BrokenError("not_jpeg_or_png", repr(data[:8]))
    return ImageFile(data, extension, shown.width, shown.height, shown.grey)
