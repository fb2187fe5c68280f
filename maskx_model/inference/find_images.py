"""The images among the files and folders that `maskx predict` is given, and the files that it passes over."""

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import PurePosixPath

from data_prep.format.image_kinds import HEAD, KINDS_READ, SUFFIXES, describe, extension
from data_prep.storage.errors import ConfigError, DataError, RightsError
from data_prep.storage.linked_folders import visible_files
from data_prep.storage.storage import (
    FileInfo,
    absolute,
    finder,
    info,
    is_folder,
    is_on_disk,
    list_files,
    local_path,
    read_range,
)

_AT_ONCE = 16
_NAMED = 3
_NOT_UTF_8 = "file whose name is not UTF-8, which results cannot name: rename it"


@dataclass(frozen=True)
class InputImage:
    """An image file to predict on, its size in bytes and its version, and its overlay's path below the output."""

    uri: str
    overlay: str
    info: FileInfo


@dataclass(frozen=True)
class PassedOver:
    """A file that is no image of a kind that is read, or cannot be named: what it is instead."""

    uri: str
    what: str


@dataclass(frozen=True)
class FoundImages:
    """What the inputs hold, in their order."""

    images: list[InputImage]
    passed_over: list[PassedOver]

    def describe_passed_over(self) -> str:
        """How many files were passed over, with what they are and a few names of each; empty if there are none."""
        names: dict[str, list[str]] = {}
        for each in self.passed_over:
            names.setdefault(each.what, []).append(each.uri)
        parts = [
            f"{len(uris)} × {what}: {', '.join(uris[:_NAMED])}{', …' if uris[_NAMED:] else ''}"
            for what, uris in sorted(names.items(), key=lambda item: -len(item[1]))
        ]
        number = len(self.passed_over)
        return f"passed over {number} file{'s' * (number != 1)} ({'; '.join(parts)})" if number else ""


def find_images(inputs: Sequence[str], out: str) -> FoundImages:
    """Find the images among the inputs, each once: files, and folders with everything below them, on disk or `s3://`.

    Folders are read in alphabetical order, links to folders too, without hidden files and without `out`. In a folder, a
    file is an image by its name (`.jpg`, `.webp`, …) or else by its first bytes; one that is named itself is always
    taken. A name that is not UTF-8, and what cannot be read, is passed over. Overlays get distinct names. Raises
    DataError for an input that does not exist, and without an image; ConfigError if `out` is one of the folders.
    """
    if not inputs:
        raise DataError("no images were named; name files, or folders of them")
    images: dict[str, _Listed] = {}
    passed_over: dict[str, PassedOver] = {}
    for each in inputs:
        for listed in _list(each.rstrip("/") or each, out):
            uri, _, _, what = listed
            # Links to one file are files of their own, as in the folders of DVC and git-annex.
            identity = os.path.abspath(local_path(uri)) if is_on_disk(uri) else uri  # noqa: PTH100
            if what is None:
                images.setdefault(identity, listed)
            else:
                passed_over.setdefault(identity, PassedOver(uri.encode(errors="backslashreplace").decode(), what))
    names = _OverlayNames(below for _, below, _, _ in images.values())
    found = [InputImage(uri, names.free(below), info) for uri, below, info, _ in images.values()]
    result = FoundImages(found, list(passed_over.values()))
    if not images:
        seen = f"; {words}" if (words := result.describe_passed_over()) else ""
        raise DataError(f"{', '.join(inputs)}: no images there ({KINDS_READ} are read){seen}")
    return result


_Listed = tuple[str, str, FileInfo, str | None]
"""URI, path below the input, size and version, and what the file is if it is no image."""


def _list(given: str, out: str) -> Iterator[_Listed]:
    if (found := info(given)) is not None:
        yield given, PurePosixPath(given).name, found, None if _is_utf_8(given) else _NOT_UTF_8
        return
    if not is_folder(given):
        raise DataError(f"{given}: no such file or folder")
    if absolute(out) == absolute(given):
        raise ConfigError(f"--out {out}: is the folder of the images, where overlays would be images; choose another")
    if is_on_disk(given):
        names, unreadable = visible_files(given, absolute(out))
    else:
        names, unreadable = _visible_objects(given, absolute(out)), []
    for name in unreadable:
        yield f"{given}/{name}", name, FileInfo(0, 0), "folder that cannot be read: get the rights to it"
    find = finder(given)
    listed = [(f"{given}/{name}", name, found) for name in names if (found := find(name)) is not None]
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        for (uri, name, found), what in zip(listed, threads.map(_what_instead, listed), strict=True):
            yield uri, name, found, what


def _visible_objects(given: str, out: str) -> list[str]:
    return [
        name
        for name in list_files(given)
        if not f"{given}/{name}".startswith(f"{out}/") and not any(part.startswith(".") for part in name.split("/"))
    ]


def _what_instead(listed: tuple[str, str, FileInfo]) -> str | None:
    """What a file is that is no image; None for an image."""
    uri, name, found = listed
    if not _is_utf_8(name):
        return _NOT_UTF_8
    if PurePosixPath(name).suffix.lower() in SUFFIXES:
        return None
    try:
        head = read_range(uri, 0, min(HEAD, found.bytes))
    except RightsError:
        return "file that cannot be read: get the rights to it"
    return None if extension(head) is not None else describe(head).partition(" (first bytes")[0].partition(" ('")[0]


def _is_utf_8(name: str) -> bool:
    """Whether a file's name can be written as text: bytes of it that are not UTF-8 are surrogates in Python."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


class _OverlayNames:
    """Distinct names; upper and lower case count as the same. The folders of `paths` keep theirs."""

    def __init__(self, paths: Iterable[str]) -> None:
        folders = {PurePosixPath(path).parent for path in paths}
        self._taken = {str(each).lower() for folder in folders for each in (folder, *folder.parents)}
        self._next: dict[str, int] = {}

    def free(self, path: str) -> str:
        """The name of the overlay of the image at a path, or `<name>-2.png` … if it is taken."""
        name = wanted = PurePosixPath(path).with_suffix(".png")
        key = str(wanted).lower()
        while str(name).lower() in self._taken:
            number = self._next.get(key, 2)
            self._next[key] = number + 1
            name = wanted.with_stem(f"{wanted.stem}-{number}")
        self._taken.add(str(name).lower())
        return str(name)
