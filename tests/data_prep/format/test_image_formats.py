"""Any kind of image file, in any color mode, becomes the RGB pixels that it means, upright or as stored."""

import io
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, ImageOps, PngImagePlugin

from data_prep.format.image_kinds import describe, extension
from data_prep.format.images import decode_luminance, decode_rgb
from data_prep.storage.errors import DataError

Pixels = npt.NDArray[Any]
SHAPES = st.tuples(st.integers(1, 9), st.integers(1, 9))


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def grey(values: Pixels) -> Pixels:
    return np.repeat(values[:, :, None], 3, axis=2).astype(np.uint8)


def palette_image(values: Pixels) -> Image.Image:
    image = Image.fromarray(values, "P")
    image.putpalette([channel for n in range(256) for channel in (n, 255 - n, n // 2)])
    return image


def of_palette(values: Pixels) -> Pixels:
    return np.stack([values, 255 - values, values // 2], axis=2)


def ink(values: Pixels) -> Pixels:
    """Cyan, magenta, yellow and black as Pillow mixes them."""
    return np.asarray(Image.fromarray(values, "CMYK").convert("RGB"))


BYTE, WORD = (np.uint8, 0, 255), (np.uint16, 0, 65535)
# Mode → type and range of its values, channels, the image of such values, and the RGB pixels that they mean.
MODES: dict[str, tuple[tuple[Any, Any, Any], int, Callable[[Pixels], Image.Image], Callable[[Pixels], Pixels]]] = {
    "RGB": (BYTE, 3, Image.fromarray, lambda v: v),
    "L": (BYTE, 1, Image.fromarray, grey),
    "1": ((np.uint8, 0, 1), 1, lambda v: Image.fromarray(v * 255).convert("1"), lambda v: grey(v * 255)),
    "P": (BYTE, 1, palette_image, of_palette),
    "RGBA": (BYTE, 4, Image.fromarray, lambda v: v[:, :, :3]),
    "LA": (BYTE, 2, lambda v: Image.fromarray(v, "LA"), lambda v: grey(v[:, :, 0])),
    "CMYK": (BYTE, 4, lambda v: Image.fromarray(v, "CMYK"), ink),
    "I;16": (WORD, 1, Image.fromarray, lambda v: grey(v >> 8)),
    "I": ((np.int32, 0, 255), 1, Image.fromarray, grey),
    "F": ((np.float32, 0, 1), 1, Image.fromarray, lambda v: grey(np.rint(v * 255))),
}
COMPRESSIONS = (None, "tiff_lzw", "tiff_adobe_deflate", "packbits")
FILES: list[tuple[str, str, dict[str, Any]]] = [
    *(("PNG", mode, {}) for mode in ("RGB", "L", "1", "P", "RGBA", "LA", "I;16")),
    ("PNG", "P", {"transparency": 3}),
    ("PNG", "P", {"transparency": bytes(range(256))}),
    ("PNG", "L", {"transparency": 7}),
    ("WEBP", "RGB", {"lossless": True}),
    ("WEBP", "RGBA", {"lossless": True, "exact": True}),
    *(("BMP", mode, {}) for mode in ("RGB", "L", "1", "P", "RGBA")),
    *(("GIF", mode, {}) for mode in ("L", "1", "P")),
    *(("TIFF", mode, {"compression": each}) for mode in MODES for each in COMPRESSIONS),
]
EXTENSIONS = {"JPEG": "jpg", "MPO": "jpg", "PNG": "png", "WEBP": "webp", "BMP": "bmp", "TIFF": "tif", "GIF": "gif"}


@pytest.mark.filterwarnings("error")
@given(st.sampled_from(FILES), SHAPES, st.data())
def test_a_file_is_read_as_the_pixels_it_means(file: tuple[str, str, dict[str, Any]], shape: Any, data: Any) -> None:
    kind, mode, options = file
    (dtype, low, high), channels, image, expected = MODES[mode]
    numbers = (
        st.integers(low, high)
        if np.issubdtype(dtype, np.integer)
        else st.floats(low, high, width=32, allow_subnormal=False)
    )
    values = data.draw(arrays(dtype, shape if channels == 1 else (*shape, channels), elements=numbers))
    encoded = saved(image(values), kind, **options)
    assert extension(encoded) == EXTENSIONS[kind]
    pixels = decode_rgb(encoded, "photo")
    assert np.array_equal(pixels, expected(values))
    assert pixels.dtype == np.uint8
    assert pixels.flags.writeable
    shown = decode_luminance(encoded, "photo", 1)
    assert (shown.height, shown.width) == shown.grey.shape == shape
    assert np.array_equal(shown.grey, np.asarray(Image.fromarray(pixels).convert("L")))


@pytest.mark.parametrize("kind", [".png", ".tiff"])
@given(arrays(np.uint16, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3))))
def test_16_bits_a_channel_are_scaled_as_opencv_does(kind: str, values: Pixels) -> None:
    encoded = cv2.imencode(kind, values)[1].tobytes()
    pixels = decode_rgb(encoded, "photo")
    assert np.array_equal(pixels, values[:, :, ::-1] >> 8)
    theirs = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert np.abs(pixels.astype(int) - theirs).max() <= 1  # it rounds a TIFF's up
    assert decode_luminance(encoded, "photo", 1).bits == 16


def test_32_bit_values_are_read_by_their_range_or_refused_with_it() -> None:
    for values, meant in (([0.0, 1.0], [0, 255]), ([0.0, 200.5], [0, 200]), ([0.0, 25600.0], [0, 100])):
        encoded = saved(Image.fromarray(np.array([values], np.float32)), "TIFF")
        assert decode_rgb(encoded, "photo")[0, :, 0].tolist() == meant
        assert decode_luminance(encoded, "photo", 1).bits == 32
    for values in ([0.0, -1.0], [0.0, 1e9], [0.0, np.nan]):
        with pytest.raises(DataError, match=r"photo: not a readable image .32-bit pixels from"):
            decode_rgb(saved(Image.fromarray(np.array([values], np.float32)), "TIFF"), "photo")


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
@pytest.mark.parametrize(
    ("kind", "mode"), [("JPEG", "RGB"), ("JPEG", "L"), ("JPEG", "CMYK"), ("MPO", "RGB"), ("WEBP", "RGB")]
)
def test_lossy_files_are_read_as_about_what_was_saved(kind: str, mode: str, options: dict[str, Any]) -> None:
    smooth = Image.linear_gradient("L").resize((40, 24)).convert(mode)
    more = {"save_all": True, "append_images": [smooth]} if kind == "MPO" else {}
    encoded = saved(smooth, kind, quality=95, **options, **more)
    assert extension(encoded) == EXTENSIONS[kind]
    difference = decode_rgb(encoded, "photo").astype(int) - np.asarray(smooth.convert("RGB"))
    assert np.abs(difference).max() <= 8


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_several_frames_the_first_is_read(kind: str) -> None:
    frames = [Image.new("L", (6, 4), shade) for shade in (10, 200, 90)]
    encoded = saved(
        frames[0], kind, save_all=True, append_images=frames[1:], **({"lossless": True} if kind == "WEBP" else {})
    )
    assert np.array_equal(decode_rgb(encoded, "photo"), np.full((4, 6, 3), 10))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "MPO"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_where_asked_for_alone(kind: str, orientation: int) -> None:
    stored = np.zeros((16, 24, 3), np.uint8)
    stored[:8, :8], stored[8:, :8], stored[:8, 16:] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = (
        {"lossless": True} if kind == "WEBP" else {"quality": 100, "subsampling": 0} if kind in ("JPEG", "MPO") else {}
    )
    encoded = saved(Image.fromarray(stored), kind, exif=exif, **options)
    marked = Image.fromarray(stored)
    marked.getexif()[0x0112] = orientation
    upright = np.asarray(ImageOps.exif_transpose(marked))
    near = 0 if kind in ("PNG", "WEBP", "TIFF") else 40
    for pixels, expected in (
        (decode_rgb(encoded, "photo"), stored),
        (decode_rgb(encoded, "photo", upright=True), upright),
    ):
        assert pixels.shape == expected.shape
        assert np.abs(pixels.astype(int) - expected).max() <= near
    shown = decode_luminance(encoded, "photo", 16)
    assert (shown.width, shown.height, shown.orientation) == (24, 16, orientation)
    assert shown.upright_size == upright.shape[1::-1]
    assert shown.upright.shape == upright.shape[:2]


def test_megabytes_of_compressed_text_cost_no_image() -> None:
    values = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", "x" * 3_000_000, zip=True)
    text.add_text("Comment", "y" * 3_000_000, zip=True)
    encoded = saved(Image.fromarray(values), "PNG", pnginfo=text)
    assert len(encoded) < 20_000
    assert np.array_equal(decode_rgb(encoded, "photo"), values)
    assert np.array_equal(decode_luminance(encoded, "photo", 4).grey, np.asarray(Image.fromarray(values).convert("L")))


def test_damaged_exif_data_cost_no_image() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    encoded = saved(Image.new("RGB", (8, 4)), "JPEG", exif=exif)
    for hurt in (
        encoded.replace(b"MM\x00*", b"??\x00*"),
        encoded.replace(b"\x01\x12", b"\xff\xff"),
        encoded.replace(b"\x00\x06", b"\x00\x77"),
    ):
        assert decode_luminance(hurt, "photo", 1).orientation == 1


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "an empty file"),
        (bytes(500), "zero bytes alone"),
        (b"<!DOCTYPE html><html><body>404</body></html>", "HTML page"),
        (b"\n <html>404</html>", "HTML page"),
        (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (b'\xef\xbb\xbf<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "XML text"),
        (b"8BPS\x00\x01", "Photoshop"),
        (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic", "HEIC"),
        (b"\x00\x00\x00\x18ftypmif1\x00\x00\x00\x00mif1avif", "AVIF"),
        (b"\x00\x00\x00\x18ftypisom\x00\x00\x00\x00isommp42", "video"),
        (b"II*\x00\x10\x00\x00\x00CR\x02\x00", "raw file"),
        (b"RIFF\x00\x00\x00\x00AVI LIST", "AVI"),
        (b"P6\n8 4\n255\n", "PNM"),
        (b"PK\x03\x04\x14\x00", "ZIP"),
        (b'{"images": []}', "JSON text"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "git lfs pull"),
        ("Grüße".encode() * 1000, "text"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "d0 cf 11 e0"),
    ],
)
def test_what_is_no_image_that_is_read_is_told_by_its_bytes(data: bytes, what: str) -> None:
    assert extension(data) is None
    assert what in describe(data)
    with pytest.raises(DataError, match=r"photo: not a readable image .*JPEG, PNG, WebP, BMP, TIFF and GIF are read"):
        decode_rgb(data, "photo")


@given(st.binary(max_size=300))
def test_any_bytes_have_a_description(data: bytes) -> None:
    assert describe(data)


def test_the_preview_that_a_cameras_raw_file_begins_with_is_not_taken_for_the_image() -> None:
    preview = saved(Image.new("RGB", (16, 12)), "TIFF", tiffinfo={254: 1})
    with pytest.raises(DataError, match="preview"):
        decode_rgb(preview, "photo")


def test_a_tiff_that_is_not_read_is_told_how_to_save_it() -> None:
    data = cv2.imencode(".tif", np.ones((4, 5, 3), np.float32))[1].tobytes()
    message = r"photo: not a readable image \(damaged, or a TIFF of a form that is not read, .* with 8 bits a channel\)"
    with pytest.raises(DataError, match=message):
        decode_rgb(data, "photo")
    with pytest.raises(DataError, match=r"photo: not a readable image \(damaged, though it begins as JPEG\)"):
        decode_rgb(b"\xff\xd8\xff" + b"\0" * 40, "photo")
