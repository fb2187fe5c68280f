"""Parse `--source`: a name, a file format, and the files' paths or URIs."""

import itertools
import posixpath
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from data_prep.sources.image_folder import find_image_folder
from data_prep.sources.layouts import find_exports
from data_prep.sources.splits import training_split
from data_prep.sources.zipped_folder import END, unpacked_folder
from data_prep.sources.zips import published_in
from data_prep.storage.errors import ConfigError, DataError
from data_prep.storage.storage import exists, is_folder, is_on_disk, list_files, local_path

_KINDS = ("coco", "lvis", "vg")
_NAME, _SPLIT = "[a-z0-9]+", "[a-z0-9][a-z0-9-]*"
_OPTION = re.compile(rf"(?P<name>{_NAME})(?:@(?P<split>{_SPLIT}))?=(?P<kind>{'|'.join(_KINDS)}):(?P<path>.+)")
_HELP = (
    "write NAME=coco:FOLDER, NAME=coco:FILE, NAME=coco:ANNOTATIONS,IMAGES, NAME@val=coco:ANNOTATIONS,IMAGES, "
    "the same with lvis, or NAME=vg:FOLDER"
)
_NAMES = "names are lower-case letters and digits, splits also hyphens"
_URL = re.compile(r"(?<![a-z0-9])(?!s3://|file://)[a-z][a-z0-9+.-]*://[^,]*", re.IGNORECASE)
_LISTED = 6
_ARCHIVES = (END, ".tar", ".tgz", ".tar.gz", ".7z", ".rar")


@dataclass(frozen=True)
class CocoFiles:
    """A COCO-format annotation file or one of LVIS's, and the folder that its file names are relative to.

    `made_by`: the model that made its masks, as far as they do not say it themselves; None if people drew them.
    `archive`: the zip that `folder` was unpacked from. `above`: how many folders above `folder` the label begins with.
    """

    source: str
    split: str
    folder: str
    annotations: str
    images: str
    kind: Literal["coco", "lvis"] = "coco"
    made_by: str | None = None
    archive: str | None = None
    above: int = 0

    @property
    def name(self) -> str:
        """The annotation file's path below the source's folder."""
        return self.annotations.removeprefix(f"{self.folder}/")

    @property
    def path(self) -> str:
        """The annotation file's path, in a zip that of the zip and below."""
        return f"{self.archive}/{self.name}" if self.archive else self.annotations

    @property
    def label(self) -> str:
        """The annotation file's name in messages: the end of its path."""
        return "/".join(self.path.split("/")[-(self.above + len(self.name.split("/"))) :])


@dataclass(frozen=True)
class VisualGenomeFolder:
    """A folder with `image_data.json`, `objects.json`, and the images in `VG_100K/` and `VG_100K_2/` or one deeper."""

    source: str
    folder: str
    kind: Literal["vg"] = "vg"


SourceFiles = CocoFiles | VisualGenomeFolder


def parse_sources(options: tuple[str, ...], made: tuple[str, ...] = ()) -> list[SourceFiles]:
    """Every annotation file named by the options, in their order; `made`, `NAME=MODEL` each, says whose masks a model
    made. Raises ConfigError or DataError with the remedy."""
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
    for option in made:
        found = _marked(found, option)
    return found


def _marked(sources: list[SourceFiles], option: str) -> list[SourceFiles]:
    """The sources, that of a `--made` option with the model's name."""
    name, _, model = option.partition("=")
    if not name or not model.strip():
        raise ConfigError(f"--made {option}: write NAME=MODEL, a source's name and what made its masks")
    if name not in {files.source for files in sources if isinstance(files, CocoFiles)}:
        raise ConfigError(f"--made {option}: no COCO-format or LVIS source is named {name}")
    return [
        replace(files, made_by=model) if isinstance(files, CocoFiles) and files.source == name else files
        for files in sources
    ]


def _parse(option: str) -> list[SourceFiles]:
    match = _OPTION.fullmatch(option)
    if not match:
        raise ConfigError(f"--source {option}: {_misspelled(option)}; {_HELP} ({_NAMES})")
    name, split, kind, path = match.group("name", "split", "kind", "path")
    _refuse_url(path, option)
    if kind != "vg" and (parts := _two_paths(path, option)):
        annotations, images = parts
        _require_folder(images, option)
        _require_file(annotations, option)
        rows: Literal["coco", "lvis"] = "lvis" if kind == "lvis" else "coco"
        images = posixpath.normpath(local_path(images)) if is_on_disk(images) else images.rstrip("/")
        return [_file(name, split, annotations, images, rows)]
    path = path.rstrip("/")
    if path.lower().endswith(END) and not is_folder(path) and exists(path):
        return _unpacked(match, path)
    if kind != "vg" and not is_folder(path) and exists(path):
        return [_file_alone(name, split, path, option, "lvis" if kind == "lvis" else "coco")]
    if split and kind != "coco":
        raise ConfigError(f"--source {option}: @{split} needs coco:… or lvis:ANNOTATIONS,IMAGES")
    _require_folder(path, option)
    if kind == "vg":
        return [VisualGenomeFolder(name, _visual_genome_folder(path))]
    if kind == "lvis":
        return list(_lvis_folder(name, path, option))
    found, remedy = find_exports(path, name), f"write {name}@{split}=coco:ANNOTATIONS,IMAGES"
    if split and len(found) > 1:
        raise ConfigError(f"--source {option}: the folder has {len(found)} annotation files; {remedy}")
    return [CocoFiles(name, split or each.split, path, each.annotations, each.images) for each in found]


def _unpacked(match: re.Match[str], archive: str) -> list[SourceFiles]:
    """What an option means whose folder is a zip; an error about what is in it names the zip."""
    folder = unpacked_folder(archive)
    try:
        found = _parse(f"{match.string[: match.start('path')]}{folder}")
    except (ConfigError, DataError) as error:
        told = str(error).removeprefix(f"{folder}: ").replace(folder, archive)
        raise type(error)(f"{archive}, unpacked: {told}") from None
    return [replace(files, archive=archive) if isinstance(files, CocoFiles) else files for files in found]


def _misspelled(option: str) -> str:
    """Which part of an option is not as it has to be."""
    match = re.fullmatch(r"(?P<name>[^=@]*)(?:@(?P<split>[^=]*))?=(?:(?P<kind>[^:,/]*):)?(?P<path>.*)", option)
    if not match:
        return "has no NAME= before it" if "=" not in option else "not understood"
    name, split, kind = match.group("name", "split", "kind")
    if not re.fullmatch(_NAME, name):
        return f"{name!r} is no name of a source"
    if split is not None and not re.fullmatch(_SPLIT, split):
        return f"{split!r} is no name of a split"
    if kind in _KINDS:
        return "names no path"
    return f"{kind!r} is no file format that is read" if kind else "has no file format, such as coco:, before the path"


def _refuse_url(path: str, option: str) -> None:
    if found := _URL.search(path):
        raise ConfigError(
            f"--source {option}: {found.group()} is a URL, which is not read; download it, and name the file"
        )


def _visual_genome_folder(path: str) -> str:
    """The folder, or the one in it that has Visual Genome's files, as a zip unpacks them one deeper."""
    if _has_image_data(path):
        return path
    tops = sorted({file.split("/")[0] for file in list_files(path) if "/" in file})
    fitting = [top for top in tops if _has_image_data(f"{path}/{top}")]
    return f"{path}/{fitting[0]}" if len(fitting) == 1 else path


def _has_image_data(folder: str) -> bool:
    return _is_there(f"{folder}/image_data.json")


def _two_paths(path: str, option: str) -> tuple[str, str] | None:
    """ANNOTATIONS and IMAGES, which may have commas themselves; None for one path.

    The comma between them is the one with a file before and a folder behind it.
    """
    if "," not in path or (_is_one(path) and exists(path)):
        return None
    parts = path.split(",")
    cut = [(",".join(parts[:place]), ",".join(parts[place:])) for place in range(1, len(parts))]
    pairs = [pair for pair in cut if all(map(_is_one, pair))]
    fitting = [pair for pair in pairs if pair[1] and is_folder(pair[1]) and _is_there(pair[0])]
    if len(fitting) > 1:
        both = " or ".join(f"{annotations} and {images}" for annotations, images in fitting)
        raise ConfigError(f"--source {option}: the commas leave it open whether {both} are meant; rename one of them")
    return (fitting or [pair for pair in pairs if pair[1] and is_folder(pair[1])] or pairs or cut)[0]


def _is_one(path: str) -> bool:
    """Whether a text may be one path: the scheme of another begins nowhere within it."""
    return "://" not in path[path.find("://") + 3 :] if path.startswith(("s3://", "file://")) else "://" not in path


def _is_there(annotations: str) -> bool:
    return any(map(exists, (annotations, *published_in(annotations))))


def _file(name: str, split: str | None, path: str, images: str, kind: Literal["coco", "lvis"]) -> CocoFiles:
    split = split or training_split(name, path, images)
    return CocoFiles(name, split, posixpath.dirname(path) or ".", path, images, kind)


def _file_alone(name: str, split: str | None, path: str, option: str, kind: Literal["coco", "lvis"]) -> CocoFiles:
    """A COCO-format or LVIS file whose images are near it."""
    if path.lower().endswith(_ARCHIVES):
        raise DataError(f"{path}: an archive; unpack it, and write {name}={kind}:FOLDER, wanted by --source {option}")
    remedy = f"name the folder of the images: {name}{f'@{split}' if split else ''}={kind}:ANNOTATIONS,IMAGES"
    return _file(name, split, path, find_image_folder(path, remedy, kind == "lvis"), kind)


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


def _require_file(path: str, wanted_by: str) -> None:
    if _is_there(path) or is_folder(path):
        return
    beside = sorted(file.name for file in Path(path).parent.glob("*.json*"))[:_LISTED] if is_on_disk(path) else []
    there = f"; beside it {'are' if len(beside) > 1 else 'is'} {', '.join(beside)}" if beside else ""
    raise DataError(f"{path}: no such file, wanted by {wanted_by}{there}")


def _require_folder(folder: str, wanted_by: str) -> None:
    if is_folder(folder):
        return
    if folder and exists(folder):
        unpack = "; unpack it" if folder.lower().endswith(_ARCHIVES) else ""
        raise DataError(f"{folder}: is a file{unpack}; a folder is wanted by {wanted_by}")
    raise DataError(f"{folder}: no such folder, wanted by {wanted_by}")
