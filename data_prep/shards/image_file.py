"""Read an image's file once: check that it is whole, and decode its luminance for comparison."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from data_prep.content.search import LEAST_SIDE
from data_prep.format.exif_rule import ExifRule
from data_prep.format.image_kinds import KINDS_READ, describe, extension
from data_prep.format.images import Luminance, decode_luminance
from data_prep.format.orientation import AS_STORED
from data_prep.shards.frame import finding, is_upright
from data_prep.sources.images import SourceImage
from data_prep.sources.reasons import BrokenError
from data_prep.storage.errors import DataError
from data_prep.storage.read_ahead import Read
from data_prep.storage.storage import read


@dataclass(frozen=True)
class ImageFile:
    """A whole image: the file's bytes and the extension that fits them; and as its annotations mean it, upright or as
    stored, its width and height in pixels and its luminance, uint8[rows, columns], maybe reduced.

    `other_grey`: the luminance as they do not mean it, of a file with an EXIF orientation. `findings`: codes of
    REPAIRED and NOTED, each with what was seen.
    """

    data: bytes
    extension: str
    width: int
    height: int
    grey: npt.NDArray[np.uint8]
    other_grey: npt.NDArray[np.uint8] | None = None
    upright: bool = False
    findings: tuple[tuple[str, str], ...] = ()

    @property
    def frames(self) -> list[npt.NDArray[np.uint8]]:
        """The luminance as it is stored and as it is shown, where that differs: a copy may show either."""
        return [self.grey] if self.other_grey is None else [self.grey, self.other_grey]


def read_image_file(image: SourceImage, read: Read = read, exif: ExifRule = "auto") -> ImageFile:
    """Read the image's file by `read`; raises BrokenError unless all of it decodes."""
    try:
        data = read(image.path)
        kind = extension(data)
        if kind is None:
            raise BrokenError("format_not_read", f"{describe(data)}; {KINDS_READ} are read")
        shown = decode_luminance(data, image.path, LEAST_SIDE)
    except DataError as error:
        raise BrokenError("unreadable", str(error).removeprefix(f"{image.path}: ")) from None
    findings = tuple(each for each in (finding(image, shown, exif), _of_bits(shown)) if each)
    if is_upright(image, shown, exif):
        return ImageFile(data, kind, *shown.upright_size, shown.upright, shown.grey, upright=True, findings=findings)
    turned = None if shown.orientation == AS_STORED else shown.upright
    return ImageFile(data, kind, shown.width, shown.height, shown.grey, turned, findings=findings)


def _of_bits(shown: Luminance) -> tuple[str, str] | None:
    if shown.bits == 8:
        return None
    darkest, brightest = shown.grey.min(), shown.grey.max()
    return "more_than_8_bits", f"{shown.bits} bits a channel, scaled to {darkest} to {brightest} of 255"
