"""Find the folder of a COCO-format file's images: the one near it in which the first listed names exist."""

import posixpath
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache

import msgspec

from data_prep.sources.file_names import FoundFile, ImageFolder, image_folders, is_url, name_in_url
from data_prep.sources.json_files import read_items
from data_prep.sources.open_coco import open_coco
from data_prep.sources.splits import other_names, words_of
from data_prep.storage.errors import JSON_ERRORS, DataError
from data_prep.storage.storage import finder, is_folder

_LOOKED_FOR = 16  # names
_ANNOTATION_FOLDERS = {"annotations", "annotation", "labels", "json"}
_USUAL = ("images", "data", "img", "imgs", "JPEGImages", "", "train", "val", "test")
_ENDS = (".json.gz", ".json.zip", ".json")

Find = Callable[[ImageFolder, str], FoundFile | None]


class _Named(msgspec.Struct):
    file_name: str | int | None = None
    coco_url: str | None = None


_named = msgspec.json.Decoder(_Named)


def find_image_folder(annotations: str, remedy: str, lvis: bool = False) -> str:
    """The folder that a COCO-format file's names are relative to, or those in the URLs of LVIS's (`lvis`); `remedy`
    says how to name it otherwise.

    Folders with the file's name, or with that of its split, go before `images/`, `data/` and the file's own folder.
    A folder in which the names exist as written goes before one in which the ladder of `file_names.py` finds them.
    Raises DataError if no folder has them, if several have, or if the file is not in COCO's format.
    """
    names = _first_names(annotations, lvis)
    if not names:
        raise DataError(f"{annotations}: lists no image with a {'coco_url' if lvis else 'file_name'}")
    tiers = [[folder for folder in tier if is_folder(folder)] for tier in _candidates(annotations)]
    folders = image_folders(cache(finder))
    for least in (len(names) // 2 + 1, 1):
        for find in (ImageFolder.as_written, ImageFolder.find):
            for tier in tiers:
                if chosen := _best(annotations, [folders(folder) for folder in tier], names, find, least, remedy):
                    return chosen
    looked = ", ".join(folder for tier in tiers for folder in tier)
    if is_url(names[0]):
        raise DataError(
            f"{annotations}: lists URLs ({names[0]}), which are not read; download the images, and {remedy}"
        )
    raise DataError(f"{annotations}: its images ({names[0]} is the first) are not in {looked}; {remedy}")


def _best(
    annotations: str, folders: list[ImageFolder], names: list[str], find: Find, least: int, remedy: str
) -> str | None:
    """The folder with the most of the names, if it has `least`; raises DataError if two have other files by them."""
    found = {each.folder: {file.path for name in names if (file := find(each, name))} for each in folders}
    most = max(map(len, found.values()), default=0)
    if most < least:
        return None
    best = [folder for folder, files in found.items() if len(files) == most]
    if any(found[folder] != found[best[0]] for folder in best):
        raise DataError(f"{annotations}: its images may be in {' or '.join(best)}, both have files so named; {remedy}")
    return best[0]


def _first_names(annotations: str, lvis: bool) -> list[str]:
    buffer, layout = open_coco(annotations)
    names = []
    for byte_range in layout.byte_ranges(0, "images")[:1]:
        for _, item in list(read_items(buffer, byte_range))[:_LOOKED_FOR]:
            with suppress(*JSON_ERRORS):  # such a record is rejected where all are read
                image = _named.decode(item)
                name = name_in_url(image.coco_url) if lvis and image.coco_url else image.file_name
                names += [] if name is None else [str(name)]
    return names


def _candidates(annotations: str) -> Iterator[list[str]]:
    """Folders that may be it, the likeliest group first."""
    own, name = posixpath.split(annotations)
    own = own or "."
    root = (posixpath.dirname(own) or ".") if posixpath.basename(own).lower() in _ANNOTATION_FOLDERS else own
    stem = next((name.removesuffix(end) for end in _ENDS if name.endswith(end)), name)
    named = _distinct([stem.removeprefix("instances_"), *re.findall(r"[A-Za-z]+\d*", stem), *_split_names(stem)])
    bases = _distinct([root, own])
    yield _distinct(
        path
        for base in bases
        for tag in named
        if tag not in ("images", "data")
        for path in (f"{base}/{tag}", f"{base}/images/{tag}", f"{base}/{tag}/images", f"{base}/data/{tag}")
    )
    yield _distinct(f"{base}/{folder}" if folder else base for base in _distinct([own, root]) for folder in _USUAL)


def _split_names(stem: str) -> Iterator[str]:
    for word in words_of(stem):
        yield from other_names(word)


def _distinct(texts: Iterator[str] | list[str]) -> list[str]:
    return list(dict.fromkeys(texts))
