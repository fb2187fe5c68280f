"""Images become RGB pixels as the source's coordinates mean them, or are refused."""

import io
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from data_prep.format.images import decode_luminance, decode_rgb
from data_prep.storage.errors import DataError


def encoded(mode: str = "RGB", size: tuple[int, int] = (40, 20), kind: str = "JPEG", **options: object) -> bytes:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    buffer = io.BytesIO()
    image = Image.fromarray(pixels)
    image = image.convert("L").convert(mode) if mode == "I;16" else image.convert(mode)
    image.save(buffer, kind, **options)
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
def test_a_truncated_image_is_refused_by_name(share: float) -> None:
    data = encoded()
    with pytest.raises(DataError, match="photo: not a readable image"):
        decode_rgb(data[: int(len(data) * share)], "photo")


def test_more_than_90_megapixels_are_refused_before_they_are_decoded() -> None:
    buffer = io.BytesIO()
    Image.new("1", (10_000, 9_001)).save(buffer, "PNG")
    with pytest.raises(DataError, match="photo: not a readable image"):
        decode_rgb(buffer.getvalue(), "photo")


@pytest.mark.filterwarnings("error")
def test_up_to_90_megapixels_are_read_without_a_warning_and_more_are_a_data_error_where_warnings_are_errors() -> None:
    for height, refused in ((9_000, False), (9_001, True)):
        buffer = io.BytesIO()
        Image.new("1", (10_000, height)).save(buffer, "PNG")
        if refused:
            with pytest.raises(DataError, match="photo: not a readable image"):
                decode_luminance(buffer.getvalue(), "photo", 1)
        else:
            assert decode_luminance(buffer.getvalue(), "photo", 1).grey.size > 0


def test_decoding_in_threads_leaves_the_warning_filters_alone() -> None:
    """`warnings.catch_warnings` in each of several threads restores the filters of another."""
    before = list(warnings.filters)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: decode_rgb(encoded(), "photo"), range(400)))
    assert list(warnings.filters) == before


@pytest.mark.parametrize(("mode", "kind"), [("RGB", "JPEG"), ("L", "JPEG"), ("CMYK", "JPEG"), ("P", "PNG")])
def test_luminance_is_the_pictures_at_full_or_reduced_size(mode: str, kind: str) -> None:
    rows, columns = np.mgrid[0:300, 0:400]
    buffer = io.BytesIO()
    picture = np.stack([rows * 0.8, columns * 0.6, 255 - rows * 0.5], -1).astype(np.uint8)
    Image.fromarray(picture).convert(mode).save(buffer, kind)
    expected = Image.fromarray(decode_rgb(buffer.getvalue(), "photo")).convert("L")
    for least, reduced in ((300, 1), (128, 2 if mode != "P" else 1)):
        shown = decode_luminance(buffer.getvalue(), "photo", least)
        assert (shown.width, shown.height) == (400, 300)
        assert shown.grey.shape == (300 // reduced, 400 // reduced)
        small = np.asarray(expected.reduce(reduced), np.int32)
        assert np.abs(small - shown.grey).max() <= 12


PHOTOGRAPHS = [
    encoded(size=(97, 71)),
    encoded(size=(97, 71), progressive=True),
    encoded(size=(97, 71), restart_marker_blocks=3),
    encoded("L", size=(97, 71)),
    encoded("CMYK", size=(97, 71)),
    encoded(size=(97, 71), kind="PNG"),
    encoded(size=(97, 71), kind="WEBP", lossless=True),
    encoded(size=(97, 71), kind="BMP"),
    encoded(size=(97, 71), kind="GIF"),
    encoded(size=(97, 71), kind="TIFF"),
    encoded("CMYK", size=(97, 71), kind="TIFF", compression="tiff_lzw"),
    encoded("P", size=(97, 71), kind="TIFF", compression="tiff_adobe_deflate"),
    encoded("I;16", size=(97, 71), kind="TIFF"),
    encoded("F", size=(97, 71), kind="TIFF", compression="tiff_lzw"),
]
HURTS = st.tuples(st.sampled_from(["cut", "flip", "drop", "blank", "insert"]), st.floats(0, 1), st.integers(1, 255))


@pytest.mark.filterwarnings("ignore::UserWarning")  # pytest drops the filter of `images.py`
@settings(max_examples=1000)
@given(st.sampled_from(PHOTOGRAPHS), st.lists(HURTS, min_size=1, max_size=4))
def test_a_damaged_image_is_refused_by_both_decoders_or_by_none(
    data: bytes, hurts: list[tuple[str, float, int]]
) -> None:
    for hurt, place, size in hurts:
        data = damaged(data, hurt, int(place * len(data)), size)
    assert size_found(data, whole=True) == size_found(data, whole=False)


def damaged(data: bytes, hurt: str, at: int, size: int) -> bytes:
    before, hit, after = data[:at], data[at : at + size], data[at + size :]
    if hurt == "cut":
        return before
    if hurt == "flip":
        return before + bytes([byte ^ size for byte in hit[:1]]) + hit[1:] + after
    return before + {"drop": b"", "blank": bytes(len(hit)), "insert": hit + hit}[hurt] + after


def size_found(data: bytes, whole: bool) -> tuple[int, int] | None:
    try:
        if whole:
            height, width, _ = decode_rgb(data, "photo").shape
            return width, height
        found = decode_luminance(data, "photo", 16)
        return found.width, found.height
    except DataError:
        return None


@pytest.mark.slow
def test_thousands_of_damaged_real_images_meet_the_same_verdict(real_sample: Path) -> None:
    rng = np.random.default_rng(0)
    verdicts: Counter[bool] = Counter()
    for path in sorted((real_sample / "coco/val2017").glob("*.jpg"))[:50]:
        for _ in range(60):
            data = path.read_bytes()
            for _ in range(rng.integers(1, 6)):
                hurt = rng.choice(["cut", "flip", "flip", "drop", "blank", "insert"])
                data = damaged(data, hurt, int(rng.random() ** 2 * len(data)), int(rng.integers(1, 256)))
            assert size_found(data, whole=True) == size_found(data, whole=False)
            verdicts[size_found(data, whole=False) is None] += 1
    assert min(verdicts[True], verdicts[False]) > 300
