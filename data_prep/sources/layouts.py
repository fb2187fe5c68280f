"""Folders as programs export them in COCO's format: where each has its annotation files, and what their splits are."""

import fnmatch
import itertools
import logging
import posixpath
import re
from collections.abc import Collection, Iterator
from typing import NamedTuple

from data_prep.sources.broken_json import BrokenJsonError, MisshapenError
from data_prep.sources.image_folder import find_image_folder
from data_prep.sources.open_coco import open_coco
from data_prep.sources.splits import split_of, split_of_folder
from data_prep.sources.unsupported_files import HEAD, kind_of_bytes
from data_prep.sources.zips import published_in
from data_prep.storage.errors import DataError
from data_prep.storage.storage import exists, info, is_folder, list_files, read_range

logger = logging.getLogger(__name__)

_COCO = re.compile(r"instances_(?P<split>train|val)(?P<rest>[A-Za-z0-9_-]*)\.json(?:\.gz)?")
_JSON = r"\.json(?:\.gz)?"
# Beside COCO's own. The part of a path that is not fixed says the split. A file of a loose layout may be anything.
_NAMED = (
    rf"(?:(?P<tag>[^/]+)/)?_annotations\.coco(?:-segmentation)?{_JSON}",  # Roboflow
    rf"(?:(?P<tag>[^/]+)/)?result(?:_coco)?{_JSON}",  # Label Studio
    rf"(?:(?P<tag>[^/]+)/)?labels{_JSON}",  # FiftyOne
)
_LOOSE = (
    rf"(?:annotations?|labels)/(?P<tag>[^/]+){_JSON}",  # MMDetection
    rf"(?P<tag>[^/]+)/(?:annotations?|annotations?_coco|coco|coco_annotations?){_JSON}",
    rf"(?P<tag>[^/]+){_JSON}",
)
_IN_TASKS = rf"(?P<tag>[^/]+)/annotations/instances_[^/]+{_JSON}"  # CVAT, several tasks
# Of COCO and LVIS, as published beside COCO's instances: of other tasks, or named by another `--source`.
_PUBLISHED = re.compile(r"(captions|person_keypoints|stuff|panoptic|image_info|lvis)_.*", re.IGNORECASE)
KNOWN = (
    "COCO's (annotations/instances_*.json beside train2017/ or images/), CVAT's (the same, images/*/), "
    "Roboflow's (train/_annotations.coco.json), Label Studio's (result.json, images/), FiftyOne's (labels.json, "
    "data/), and annotations/train.json beside train/ or images/"
)
_MOST_FILES = 64  # JSON files of one pattern: more are a file for each image
_SHOWN = 6
_NOT_TOLD = "its name says neither train nor val nor test"


class Export(NamedTuple):
    """An annotation file of a folder, its split, and the folder of its images."""

    split: str
    annotations: str
    images: str


def find_exports(folder: str, name: str, top: str = "") -> list[Export]:
    """The COCO-format files of a folder in a known layout, of the source `name`.

    `top` names the folders on the way to it from the one that the user named: they tell the split of files whose own
    names tell none.

    Raises DataError, which says what the folder holds and how to name the files, if it is in none, or if the name of
    one of several files does not tell its split.
    """
    remedy = f"write {name}=coco:ANNOTATIONS,IMAGES"
    if coco := _in_annotations(folder) or list(_zipped(folder)):
        read = [*coco]
        if not all(_own_folder(folder, file) for file in coco):
            coco = list(_with_images(f"{folder}/annotations", dict.fromkeys(coco)))
        listed = [f"annotations/{file}" for file in list_files(f"{folder}/annotations") if not _is_hidden(file)]
        _tell_others(folder, listed, {f"annotations/{file}" for file in read}, name)
        return [_coco_file(folder, file, len(coco), name, top) for file in coco]
    files = [file for file in list_files(folder) if not file.startswith("__MACOSX/") and not _is_hidden(file)]
    if found := _first_layout(folder, files):
        _tell_others(folder, files, found.keys(), name)
        return [
            Export(
                _split(f"{folder}/{file}", (tag, top), len(found), name),
                f"{folder}/{file}",
                find_image_folder(f"{folder}/{file}", remedy),
            )
            for file, tag in _with_images(folder, found).items()
        ]
    tops = sorted({file.split("/")[0] for file in files if "/" in file})
    if len(tops) == 1 and all("/" in file for file in files):
        return find_exports(f"{folder}/{tops[0]}", name, f"{top}/{tops[0]}")
    if several := [each for each in tops if _in_annotations(f"{folder}/{each}")]:
        return [export for each in several for export in find_exports(f"{folder}/{each}", name, f"{top}/{each}")]
    raise DataError(
        f"{folder}: {_what_is_there(folder, files)}. Layouts that are known: {KNOWN}; for another, {remedy}"
    )


def _is_hidden(file: str) -> bool:
    return file.startswith(".") or "/." in file


def _in_annotations(folder: str) -> list[str]:
    listed = fnmatch.filter(list_files(f"{folder}/annotations"), "instances_*.json*")
    return [file for file in listed if file.endswith((".json", ".json.gz"))]


def _coco_file(folder: str, file: str, of: int, name: str, top: str) -> Export:
    path = f"{folder}/annotations/{file}"
    match = _COCO.fullmatch(file)
    split = match["split"] if match else _split(path, (file.removeprefix("instances_"), top), of, name)
    if images := _own_folder(folder, file):
        return Export(split, path, images)
    wanted = f"{folder}/{file.removeprefix('instances_').partition('.')[0]}"
    remedy = f"put them into {wanted}, or write {name}@{split}=coco:ANNOTATIONS,IMAGES"
    return Export(split, path, find_image_folder(path, remedy))


def _own_folder(folder: str, file: str) -> str | None:
    """The folder of a file's images in COCO's own layout, `train2017/` beside `annotations/`, if there is one."""
    match = _COCO.fullmatch(file)
    images = f"{folder}/{match['split']}{match['rest']}" if match else ""
    return images if images and is_folder(images) else None


def _split(path: str, tags: tuple[str | None, ...], of: int, name: str) -> str:
    """The split that the first of the tags to name one names; a file alone is for training, unless its folder is called
    otherwise."""
    for split in filter(None, (split_of(tag or "") for tag in tags)):
        return split
    if of == 1:
        return split_of_folder(posixpath.dirname(path)) or "train"
    raise DataError(f"{path}: {_NOT_TOLD}; write {name}@SPLIT=coco:ANNOTATIONS,IMAGES for each of the {of} files")


def _first_layout(folder: str, files: list[str]) -> dict[str, str | None]:
    """The annotation files of the first layout that the folder is in, and what says their splits; none in no layout."""
    for layout in (*_NAMED, *_LOOSE):
        matches = _matches(layout, files)
        if layout in _LOOSE:
            few = len(matches) <= _MOST_FILES
            matches = {file: tag for file, tag in matches.items() if few and _is_coco(f"{folder}/{file}")}
        if matches:
            return matches
    return {}


def _matches(layout: str, files: list[str]) -> dict[str, str | None]:
    pattern = re.compile(layout, re.IGNORECASE)
    return {file: match["tag"] for file in files if (match := pattern.fullmatch(file))}


def _tell_others(folder: str, files: list[str], read: Collection[str], name: str) -> None:
    """Log each COCO-format file of another layout than those that are read, so that no split is lost in silence."""
    layouts = [_matches(layout, files) for layout in (*_NAMED, *_LOOSE, _IN_TASKS)]
    others = dict.fromkeys(file for found in layouts if len(found) <= _MOST_FILES for file in found)
    for file in others:
        if file in read or _PUBLISHED.fullmatch(file.rpartition("/")[2]) or not _may_be_coco(f"{folder}/{file}"):
            continue
        option = f"{name}@SPLIT=coco:{folder}/{file},IMAGES"
        logger.warning("%s/%s: is passed over; to read it too, name each file as in %s", folder, file, option)


def _with_images(folder: str, found: dict[str, str | None]) -> dict[str, str | None]:
    """The files without those that list no image, as programs write them for an empty split; all if none lists one."""
    listing = {file: tag for file, tag in found.items() if _lists_images(f"{folder}/{file}")}
    for file in found.keys() - listing.keys() if listing else ():
        logger.warning("%s/%s: lists no image, and is passed over", folder, file)
    return listing or found


def _lists_images(path: str) -> bool:
    try:
        _, layout = open_coco(path)
    except DataError:  # is told where the file is read
        return True
    return bool(layout.byte_ranges(0, "images"))


def _is_coco(path: str) -> bool:
    """Raises BrokenJsonError or MisshapenError for a file that may be COCO's and is damaged, empty or slightly off, so
    that no split is lost in silence."""
    try:
        open_coco(path)
    except (BrokenJsonError, MisshapenError):
        raise
    except DataError:
        return False
    return True


def _may_be_coco(path: str) -> bool:
    try:
        return _is_coco(path)
    except DataError:  # damaged or slightly off
        return True


def _zipped(folder: str) -> Iterator[str]:
    """The names of COCO's annotation files whose zip is there, and the images too."""
    for split, year in itertools.product(("train", "val"), (2014, 2017)):
        name = f"instances_{split}{year}.json"
        if is_folder(f"{folder}/{split}{year}") and any(map(exists, published_in(f"{folder}/annotations/{name}"))):
            yield name


def _what_is_there(folder: str, files: list[str]) -> str:
    """What a folder holds, as a phrase: its entries, and what the first file that is no image looks like."""
    if not files:
        return "is empty, with no instances_*.json"
    tops: dict[str, int] = {}
    for file in files:
        top = file.split("/")[0] + ("/" if "/" in file else "")
        tops[top] = tops.get(top, 0) + 1
    entries = [f"{top} ({number:,} files)" if top.endswith("/") else top for top, number in sorted(tops.items())]
    shown = ", ".join(entries[:_SHOWN]) + (", …" if len(entries) > _SHOWN else "")
    others = (kind for file in files[: 10 * _SHOWN] if (kind := _kind(f"{folder}/{file}")))
    looks = next((f"; {kind}" for kind in others), "")
    jsons = sum(file.endswith(".json") for file in files)
    many = f" ({jsons:,} JSON files, perhaps one for each image)" if jsons > _MOST_FILES else ""
    return f"no instances_*.json in annotations/, but {shown}{many}{looks}"


def _kind(path: str) -> str | None:
    """What a file that is neither an image nor COCO's looks like, if that is known."""
    if path.lower().endswith((".json", ".json.gz")):
        try:
            open_coco(path)
        except DataError as error:
            return str(error)
    found = info(path)
    head = read_range(path, 0, min(found.bytes, HEAD)) if found else b""
    kind = kind_of_bytes(head)
    return f"{path} looks like {kind}" if kind and not kind.startswith("an image") else None
