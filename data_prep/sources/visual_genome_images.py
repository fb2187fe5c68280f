"""The images of Visual Genome's `image_data.json`."""

from typing import Any

import msgspec

from data_prep.format.rejects import Reject, excerpt
from data_prep.sources.coco import Length, Number
from data_prep.sources.coercions import Id, shown, to_whole
from data_prep.sources.counts import Counts, Example, RefusedError, increase, top_rejects
from data_prep.sources.images import SourceImage
from data_prep.sources.json_files import read_items
from data_prep.sources.layout import open_array
from data_prep.sources.lenient_annotations import record_fields
from data_prep.sources.lenient_images import UNKNOWN_LENGTH, image_id, length
from data_prep.sources.options import VisualGenomeFolder
from data_prep.sources.reasons import BrokenError
from data_prep.sources.segmentations import Repair
from data_prep.sources.visual_genome_records import either_id
from data_prep.storage.errors import JSON_ERRORS
from data_prep.storage.storage import is_folder, list_files

IMAGE_FOLDERS = ("VG_100K", "VG_100K_2")
ITEMS = "of images"
_FILE = "image_data.json"


class _Image(msgspec.Struct):
    width: Length
    height: Length
    image_id: Id | None = None
    id: Any = None
    coco_id: Number | None = None
    flickr_id: Number | None = None


_image = msgspec.json.Decoder(_Image)


def list_images(folder: VisualGenomeFolder, number: int) -> tuple[list[SourceImage], Counts]:
    """The folder's images, and what was counted on the way; `number` is the number of `objects.json` among all files.

    Raises RefusedError if no image can be read.
    """
    path = f"{folder.folder}/{_FILE}"
    buffer, layout = open_array(path, ITEMS)
    paths = _paths(folder.folder)
    images: list[SourceImage] = []
    counts = Counts()
    for byte_range in layout.byte_ranges(number, ITEMS):
        for offset, item in read_items(buffer, byte_range):
            try:
                found = _read(folder, item, offset, counts)
            except BrokenError as error:
                text = excerpt(f"{error.seen}: {excerpt(bytes(item))}")
                counts.rejects.append(Reject(folder.source, _FILE, "photograph", -1, offset, "malformed", text))
                continue
            images.append(_source_image(folder, number, found, offset, paths))
    increase(counts.images, folder.source, len(counts.rejects))
    if not images:
        why = f"; {top_rejects(counts.rejects)}" if counts.rejects else ""
        raise RefusedError(f"{path}: lists no images that can be read, so there is nothing to prepare{why}", counts)
    return images, counts


def image_folders(folder: str) -> list[str]:
    """The folders of Visual Genome's images below `folder`: in it, or one deeper (`images/VG_100K/`); none if there is
    none."""
    found = [name for name in IMAGE_FOLDERS if is_folder(f"{folder}/{name}")]
    if len(found) == len(IMAGE_FOLDERS):
        return found
    tops = sorted({file.split("/")[0] for file in list_files(folder) if "/" in file} - set(IMAGE_FOLDERS))
    return found + [f"{top}/{name}" for name in IMAGE_FOLDERS for top in tops if is_folder(f"{folder}/{top}/{name}")]


def _paths(folder: str) -> dict[str, str]:
    """File name → path below the folder; in `VG_100K/` and `VG_100K_2/`, or in a folder in these."""
    paths: dict[str, str] = {}
    for name in image_folders(folder):
        for file in list_files(f"{folder}/{name}"):
            paths.setdefault(file.rpartition("/")[2], f"{name}/{file}")
    return paths


def _read(folder: VisualGenomeFolder, data: msgspec.Raw, offset: int, counts: Counts) -> _Image:
    try:
        found = _image.decode(data)
        found.image_id = either_id(found.image_id, found.id, "image_id")
        return found
    except JSON_ERRORS:
        return _read_leniently(folder, record_fields(data), offset, counts)


def _read_leniently(folder: VisualGenomeFolder, fields: dict[str, Any], offset: int, counts: Counts) -> _Image:
    """A record with text or floats for numbers; raises BrokenError without a size, by which its boxes are scaled."""
    repairs: list[Repair] = []
    number, _ = image_id({"id": fields.get("image_id", fields.get("id"))}, repairs)
    width, height = (length(fields, name, repairs) for name in ("width", "height"))
    if UNKNOWN_LENGTH in (width, height):
        raise BrokenError("malformed", ", ".join(shown(name, fields.get(name)) for name in ("width", "height")))
    coco_id, flickr_id = _other_id(fields, "coco_id"), _other_id(fields, "flickr_id")
    for reason, seen in repairs:
        counts.repair(folder.source, reason, Example(_FILE, offset, "photograph", number, seen))
    increase(counts.repaired_images, folder.source, int(bool(repairs)))
    return _Image(width, height, number, None, coco_id, flickr_id)


def _other_id(fields: dict[str, Any], name: str) -> int | None:
    """The image's id elsewhere, None where there is none.

    Raises BrokenError if it cannot be read: by it images are kept out of training.
    """
    value = fields.get(name)
    if value in (None, "", "NaN"):
        return None
    number = to_whole(name, value)
    if abs(number) >= 2**63:
        raise BrokenError("malformed", shown(name, value))
    return number


def _source_image(
    folder: VisualGenomeFolder, number: int, image: _Image, offset: int, paths: dict[str, str]
) -> SourceImage:
    identity = either_id(image.image_id, None, "image_id")
    name = f"{identity}.jpg"
    return SourceImage(
        source=folder.source,
        file=number,
        id=identity,
        width=image.width,
        height=image.height,
        split="train",
        folder=folder.folder,
        name=paths.get(name, f"{IMAGE_FOLDERS[0]}/{name}"),
        listed=_FILE,
        offset=offset,
        coco_id=image.coco_id,
        flickr_id=image.flickr_id,
    )
