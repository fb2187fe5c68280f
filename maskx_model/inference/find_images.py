"""The images among the files and folders that `maskx predict` is given, and the files that it passes over."""

import itertools
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import PurePosixPath

from data_prep.format.image_kinds import HEAD, KINDS_READ, SUFFIXES, describe, extension
from data_prep.storage.errors import ConfigError, DataError
from data_prep.storage.storage import FileInfo, absolute, finder, info, is_folder, list_files, read_range

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

    Folders are read in alphabetical order, without hidden files and without `out`. In a folder, a file is an image by
    its name (`.jpg`, `.webp`, …) or else by its first bytes; one that is named itself is always taken. A name that is
    not UTF-8 is passed over. Overlays get distinct names. Raises DataError for an input that does not exist, and
    without an image; ConfigError if `out` is one of the folders.
    """
    if not inputs:
        raise DataError("no images were named; name files, or folders of them")
    images: dict[str, InputImage] = {}
    passed_over: dict[str, PassedOver] = {}
    taken: set[str] = set()
    for each in inputs:
        for uri, below, found, what in _list(each.rstrip("/") or each, out):
            identity = absolute(uri)
            if what is not None:
                passed_over.setdefault(identity, PassedOver(uri.encode(errors="backslashreplace").decode(), what))
            elif identity not in images:
                images[identity] = InputImage(uri, _free_name(below, taken), found)
    result = FoundImages(list(images.values()), list(passed_over.values()))
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
    own, find = f"{absolute(out)}/", finder(given)
    own_inside = own.startswith(f"{absolute(given)}/")
    listed = []
    for name in list_files(given):
        hidden = any(part.startswith(".") for part in name.split("/"))
        uri = f"{given}/{name}"
        made_here = own_inside and f"{absolute(given)}/{name}".startswith(own)
        if not hidden and not made_here and (found := find(name)) is not None:
            listed.append((uri, name, found))
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        for (uri, name, found), what in zip(listed, threads.map(_what_instead, listed), strict=True):
            yield uri, name, found, what


def _what_instead(listed: tuple[str, str, FileInfo]) -> str | None:
    """What a file is that is no image; None for an image."""
    uri, name, found = listed
    if not _is_utf_8(name):
        return _NOT_UTF_8
    if PurePosixPath(name).suffix.lower() in SUFFIXES:
        return None
    head = read_range(uri, 0, min(HEAD, found.bytes))
    return None if extension(head) is not None else describe(head).partition(" (first bytes")[0].partition(" ('")[0]


def _is_utf_8(name: str) -> bool:
    """Whether a file's name can be written as text: bytes of it that are not UTF-8 are surrogates in Python."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _free_name(below: str, taken: set[str]) -> str:
    """The overlay's name, or `<name>-2.png` … if it is taken; upper and lower case count as the same."""
    wanted = PurePosixPath(below).with_suffix(".png")
    candidates = itertools.chain([wanted], (wanted.with_stem(f"{wanted.stem}-{n}") for n in itertools.count(2)))
    name = next(str(each) for each in candidates if str(each).lower() not in taken)
    taken.add(name.lower())
    return name
