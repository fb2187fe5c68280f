"""What a file's bytes are, whatever the file is called: an image of a kind that is read, or something else."""

KINDS_READ = "JPEG, PNG, WebP, BMP, TIFF and GIF"
SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".bmp", ".dib", ".tif", ".tiff", ".gif"}
)
"""What the names of such files end in, in lower case."""
HEAD = 4096
"""Number of a file's first bytes that tell what it is."""

_READ = (
    (b"\xff\xd8\xff", "jpg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"BM", "bmp"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"II*\x00", "tif"),
    (b"MM\x00*", "tif"),
    (b"II+\x00", "tif"),
    (b"MM\x00+", "tif"),
)
_NOT_READ = (
    (b"8BPS", "a Photoshop file (PSD)"),
    (b"%PDF", "a PDF document"),
    (b"%!PS", "a PostScript document"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 image"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 image"),
    (b"\x00\x00\x00\x0cJXL ", "a JPEG XL image"),
    (b"\xff\x0a", "a JPEG XL image"),
    (b"II\xbc", "a JPEG XR image"),
    (b"\x00\x00\x01\x00", "an icon (ICO)"),
    (b"icns", "an icon (ICNS)"),
    (b"\x76\x2f\x31\x01", "an OpenEXR image"),
    (b"#?RADIANCE", "a Radiance HDR image"),
    (b"DDS ", "a DDS texture"),
    (b"FUJIFILM", "a camera's raw file (RAF)"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x89HDF", "an HDF5 file"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip file"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"\x1a\x45\xdf\xa3", "a video (Matroska or WebM)"),
    (b"\x00\x05\x16\x07", "macOS's metadata of another file (AppleDouble)"),
    (b"\x00\x00\x00\x01Bud1", "macOS's folder settings (.DS_Store)"),
    (b"version https://git-lfs", "a Git LFS pointer (`git lfs pull` fetches the file)"),
)
_BRANDS = (
    (b"avif", "an AVIF image"),
    (b"avis", "an AVIF image"),
    (b"crx ", "a camera's raw file (CR3)"),
    *((brand, "a HEIC image") for brand in (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")),
)
_TAGS = (
    ("<svg", "an SVG drawing"),
    ("<!doctype html", "an HTML page, not an image"),
    ("<html", "an HTML page, not an image"),
    ("<head", "an HTML page, not an image"),
)
_TEXT_STARTS = (*_TAGS, ("{", "JSON text"), ("[", "JSON text"))


def extension(data: bytes) -> str | None:
    """`jpg`, `png`, `webp`, `bmp`, `tif` or `gif`, by a file's first bytes; None for anything else.

    A multi-picture JPEG (MPO) is `jpg`.
    """
    if data[:4] == b"RIFF":
        return "webp" if data[8:12] == b"WEBP" else None
    found = next((name for signature, name in _READ if data.startswith(signature)), None)
    return None if found == "tif" and data[8:10] == b"CR" else found


def describe(data: bytes) -> str:
    """What a file is that `extension` does not know, as a phrase; `data` are its first bytes, `HEAD` of them or all."""
    if not data:
        return "an empty file"
    found = _of_container(data) or next((what for signature, what in _NOT_READ if data.startswith(signature)), None)
    if found is None and not data.strip(b"\x00"):
        return "zero bytes alone"
    return found or _of_text(data[:HEAD]) or f"of no known kind (first bytes {data[:8].hex(' ')})"


def _of_container(data: bytes) -> str | None:
    """What a file is whose kind does not stand at its beginning."""
    found = None
    if data[4:8] == b"ftyp":
        found = next((what for brand, what in _BRANDS if brand in data[8:64]), "a video (MP4 or QuickTime)")
    elif data[:4] == b"RIFF":
        found = "a video (AVI)" if data[8:12] == b"AVI " else "a RIFF file"
    elif data[:2] in (b"II", b"MM") and data[8:10] == b"CR":
        found = "a camera's raw file (CR2)"
    elif data[128:132] == b"DICM":
        found = "a DICOM file"
    elif data[:1] == b"P" and data[1:2] in tuple(b"%d" % n for n in range(1, 8)) and data[2:3].isspace():
        found = "a PNM image (PBM, PGM or PPM)"
    return found


def _of_text(data: bytes) -> str | None:
    """What a text is; None for bytes that are no text."""
    try:
        text = data.decode().lstrip("\ufeff \t\r\n")
    except UnicodeDecodeError as error:
        if error.start < len(data) - 3:  # else a character is cut in two
            return None
        text = data[: error.start].decode().lstrip("\ufeff \t\r\n")
    if any(not character.isprintable() and not character.isspace() for character in text):
        return None
    low = text.lower()
    if low.startswith(("<?xml", "<!--")):
        return next((found for start, found in _TAGS if start in low), "XML text")
    return next((found for start, found in _TEXT_STARTS if low.startswith(start)), f"text ({text[:20]!r})")
