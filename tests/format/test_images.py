"""Photographs become RGB pixels as the source's coordinates mean them, or are refused."""

import io

import numpy as np
import pytest
from PIL import Image

from data_prep.format.errors import DataError
from data_prep.format.images import decode_rgb


def encoded(mode: str = "RGB", size: tuple[int, int] = (40, 20), kind: str = "JPEG", **options: object) -> bytes:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("mode", "kind"), [("RGB", "JPEG"), ("L", "JPEG"), ("CMYK", "JPEG"), ("P", "PNG"), ("1", "PNG")]
)
def test_every_colour_mode_becomes_rgb(mode: str, kind: str) -> None:
    pixels = decode_rgb(encoded(mode, kind=kind), "photo")
    assert pixels.shape == (20, 40, 3)
    assert pixels.dtype == np.uint8


def test_exif_orientation_is_ignored_as_the_boxes_ignore_it() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by a quarter
    assert decode_rgb(encoded(exif=exif.tobytes()), "photo").shape == (20, 40, 3)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_truncated_photograph_is_refused_by_name(share: float) -> None:
    data = encoded()
    with pytest.raises(DataError, match="photo: not a readable image"):
        decode_rgb(data[: int(len(data) * share)], "photo")


def test_more_than_90_megapixels_are_refused_before_they_are_decoded() -> None:
    buffer = io.BytesIO()
    Image.new("1", (10_000, 9_001)).save(buffer, "PNG")
    with pytest.raises(DataError, match="photo: not a readable image"):
        decode_rgb(buffer.getvalue(), "photo")
