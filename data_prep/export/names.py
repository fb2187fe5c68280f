"""What exported image files are called: as the source calls them, or else by their keys."""

import io

from PIL import Image, UnidentifiedImageError

from data_prep.export.samples import Sample

_LONGEST = 255
_EXTENSIONS = {"JPEG": "jpg", "MPO": "jpg", "TIFF": "tif"}


class FileNames:
    """The names of image files in one folder, each one's own: paths below it.

    An image is called as its source calls it. `KEY.EXTENSION` it is where the dataset does not know the name, where the
    name leads out of the folder, or where an earlier image has it or a folder of that name; the extension is that
    of the file's format. `lvis`: all splits share the folder, with the annotations, and each name consists of a folder
    in it (its split, where it is not known) and a file's name.
    """

    def __init__(self, source: str, lvis: bool) -> None:
        self._source = source
        self._lvis = lvis
        self._files: set[str] = set()
        self._folders: set[str] = set()

    def name(self, sample: Sample) -> str:
        """The name of the next image's file."""
        name = sample.record.names.get(self._source, "")
        if not self._usable(name):
            name = f"{sample.row.key}.{extension(sample.image)}"
            name = f"{sample.row.split}/{name}" if self._lvis else name
        self._files.add(name)
        self._folders.update(_folders_of(name))
        return name

    def _usable(self, name: str) -> bool:
        parts = name.split("/")
        plain = all(part not in ("", ".", "..") and len(part.encode()) <= _LONGEST for part in parts)
        if not plain or "\0" in name or (self._lvis and (len(parts) != 2 or parts[0] == "annotations")):
            return False
        return name not in self._files and name not in self._folders and not self._files.intersection(_folders_of(name))


def _folders_of(name: str) -> list[str]:
    parts = name.split("/")
    return ["/".join(parts[:number]) for number in range(1, len(parts))]


def extension(image: bytes) -> str:
    """The usual extension of a file of these bytes, `jpg`; that of a JPEG where they are not known."""
    try:
        with Image.open(io.BytesIO(image)) as opened:
            found = opened.format or "JPEG"
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError):
        found = "JPEG"
    return _EXTENSIONS.get(found, found.lower())
