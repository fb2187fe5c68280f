"""Visual Genome's folder: the images of `image_data.json`, and where `objects.json` has the objects of each."""

from contextlib import suppress
from dataclasses import dataclass

import msgspec

from data_prep.sources.counts import Counts
from data_prep.sources.images import SourceImage
from data_prep.sources.json_files import ByteRange, read_items
from data_prep.sources.layout import open_array
from data_prep.sources.options import VisualGenomeFolder
from data_prep.sources.unsupported_files import kind_of_visual_genome
from data_prep.sources.visual_genome_images import ITEMS, image_folders, list_images
from data_prep.sources.visual_genome_records import lack_synsets, plain_name
from data_prep.sources.zips import published_in, unpacked
from data_prep.storage.errors import JSON_ERRORS, DataError
from data_prep.storage.storage import exists

SYNSET_FILE = "object_synsets.json"


@dataclass(frozen=True)
class VisualGenomeListing:
    """What `image_data.json` lists; the objects are still in `objects.json`, in `byte_ranges`.

    `synsets` is `object_synsets.json` (object name → synset), empty where there is none.
    """

    images: list[SourceImage]
    byte_ranges: list[ByteRange]
    counts: Counts
    synsets: dict[str, str]


_synset_map = msgspec.json.Decoder(dict[str, str])


def list_visual_genome(folder: VisualGenomeFolder, number: int) -> VisualGenomeListing:
    """Read what the folder lists; `number` is the number of `objects.json` among all annotation files.

    Raises DataError if a file or folder is missing or is not Visual Genome's.
    """
    if not image_folders(folder.folder):
        raise DataError(f"{folder.folder}: has neither VG_100K/ nor VG_100K_2/ with the images")
    images, counts = list_images(folder, number)
    path = f"{folder.folder}/objects.json"
    buffer, layout = open_array(path, ITEMS)
    ranges = layout.byte_ranges(number, ITEMS)
    if ranges:
        _require_objects(path, read_items(buffer, ranges[0]).raw[0])
    synsets = _read_synsets(folder.folder)
    if ranges and not synsets and lack_synsets(read_items(buffer, ranges[0]).data):
        raise DataError(f"{path}: its objects have no synsets, as in release 1.0; put {SYNSET_FILE} beside it")
    return VisualGenomeListing(images, ranges, counts, synsets)


def _require_objects(path: str, first: msgspec.Raw) -> None:
    """Raise DataError if the first record is of another of Visual Genome's files; a broken one is rejected later."""
    with suppress(*JSON_ERRORS):
        names = list(msgspec.json.decode(first, type=dict[str, msgspec.Raw]))
        if kind := kind_of_visual_genome(names):
            has = ", ".join(map(repr, names))
            raise DataError(
                f"{path}: its records have no 'objects' but {has}: it is {kind}; put objects.json there, or "
                "scene_graphs.json under that name"
            )


def _read_synsets(folder: str) -> dict[str, str]:
    """Object name in lower case → synset; empty where the folder has no such file."""
    path = f"{folder}/{SYNSET_FILE}"
    if not any(map(exists, (path, *published_in(path)))):
        return {}
    try:
        listed = _synset_map.decode(unpacked(path).read_bytes())
    except JSON_ERRORS as error:
        raise DataError(f"{path}: should map object names to synsets ({error}); put the published file there") from None
    return {plain_name(name): synset for name, synset in listed.items()}
