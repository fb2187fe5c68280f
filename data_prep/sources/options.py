"""Parse `--source`: a name, a file format, and the files' paths or URIs."""

import fnmatch
import itertools
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from data_prep.sources.zips import published_in
from data_prep.storage.errors import ConfigError, DataError
from data_prep.storage.storage import exists, is_folder, list_files

_OPTION = re.compile(r"(?P<name>[a-z0-9]+)(?:@(?P<split>[a-z]+))?=(?P<kind>coco|lvis|vg):(?P<path>.+)")
_ANNOTATIONS = re.compile(r"instances_(?P<split>train|val)(?P<rest>[A-Za-z0-9_-]*)\.json")
_HELP = (
    "write NAME=coco:FOLDER, NAME=coco:ANNOTATIONS,IMAGES, NAME@val=coco:ANNOTATIONS,IMAGES, the same with lvis, "
    "or NAME=vg:FOLDER"
)


@dataclass(frozen=True)
class CocoFiles:
    """A COCO-format annotation file or one of LVIS's, and the folder that its file names are relative to."""

    source: str
    split: str
    folder: str
    annotations: str
    images: str
    kind: Literal["coco", "lvis"] = "coco"

    @property
    def label(self) -> str:
        """The annotation file's path below the source's folder."""
        return self.annotations.removeprefix(f"{self.folder}/")


@dataclass(frozen=True)
class VisualGenomeFolder:
    """A folder with `image_data.json`, `objects.json` and the images in `VG_100K/` and `VG_100K_2/`."""

    source: str
    folder: str
    kind: Literal["vg"] = "vg"


SourceFiles = CocoFiles | VisualGenomeFolder


def parse_sources(options: tuple[str, ...]) -> list[SourceFiles]:
    """Every annotation file named by the options, in their order; raises ConfigError or DataError with the remedy."""
    if not options:
        raise ConfigError(f"no --source is given; {_HELP}")
    found = [files for option in options for files in _parse(option)]
    kinds: dict[str, str] = {}
    for files in found:
        if kinds.setdefault(files.source, files.kind) != files.kind:
            raise ConfigError(f"--source {files.source}: one name for two file formats; give each its own name")
    genomes = [files.source for files in found if isinstance(files, VisualGenomeFolder)]
    if len(set(genomes)) < len(genomes):
        raise ConfigError("--source: one name for two vg folders; give each its own name")
    return found


def _parse(option: str) -> list[SourceFiles]:
    match = _OPTION.fullmatch(option)
    if not match:
        raise ConfigError(f"--source {option}: not understood; {_HELP} (names are lower-case letters and digits)")
    name, split, kind, path = match.group("name", "split", "kind", "path")
    if kind != "vg" and "," in path:
        annotations, _, images = path.partition(",")
        _require_folder(images, option)
        folder = posixpath.dirname(annotations) or "."
        rows: Literal["coco", "lvis"] = "lvis" if kind == "lvis" else "coco"
        return [CocoFiles(name, split or "train", folder, annotations, images.rstrip("/"), rows)]
    if split:
        raise ConfigError(f"--source {option}: @{split} needs coco:ANNOTATIONS,IMAGES or lvis:ANNOTATIONS,IMAGES")
    path = path.rstrip("/")
    _require_folder(path, option)
    if kind == "vg":
        return [VisualGenomeFolder(name, path)]
    return list((_coco_folder if kind == "coco" else _lvis_folder)(name, path, option))


def _coco_folder(name: str, folder: str, option: str) -> list[CocoFiles]:
    files = []
    listed = fnmatch.filter(list_files(f"{folder}/annotations"), "instances_*.json")
    for file in listed or _zipped(folder):
        path = f"{folder}/annotations/{file}"
        match = _ANNOTATIONS.fullmatch(file)
        if not match:
            raise DataError(f"{path}: its name says neither train nor val; say {name}@SPLIT=coco:ANNOTATIONS,IMAGES")
        images = f"{folder}/{match['split']}{match['rest']}"
        _require_folder(images, f"{path}, or name the file and its images alone: {name}=coco:ANNOTATIONS,IMAGES")
        files.append(CocoFiles(name, match["split"], folder, path, images))
    if not files:
        raise DataError(f"{folder}/annotations: no instances_*.json there, which --source {option} asks for")
    return files


def _lvis_folder(name: str, folder: str, option: str) -> list[CocoFiles]:
    """LVIS's files as published, beside COCO's `train2017/` and `val2017/` or in `annotations/`."""
    files = []
    for split, parent in itertools.product(("train", "val"), (folder, f"{folder}/annotations")):
        path = f"{parent}/lvis_v1_{split}.json"
        if any(map(exists, (path, *published_in(path)))):
            files.append(CocoFiles(name, split, folder, path, folder, "lvis"))
    if not files:
        raise DataError(f"{folder}: no lvis_v1_train.json or lvis_v1_val.json there, which --source {option} asks for")
    return files


def _zipped(folder: str) -> Iterator[str]:
    """The names of COCO's annotation files whose zip is there, and the images too."""
    for split, year in itertools.product(("train", "val"), (2014, 2017)):
        name = f"instances_{split}{year}.json"
        if is_folder(f"{folder}/{split}{year}") and any(map(exists, published_in(f"{folder}/annotations/{name}"))):
            yield name


def _require_folder(folder: str, wanted_by: str) -> None:
    if not is_folder(folder):
        raise DataError(f"{folder}: no such folder, wanted by {wanted_by}")
