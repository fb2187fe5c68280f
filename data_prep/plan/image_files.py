"""Find the images' files: where their names say, else by the ladder of `data_prep/sources/file_names.py`."""

import posixpath
from collections import Counter
from collections.abc import Container, Iterable, Iterator
from typing import NamedTuple

import msgspec

from data_prep.sources.counts import Counts, Example
from data_prep.sources.file_names import GUESSED, FoundFile, ImageFolder, below, image_folders, is_url
from data_prep.sources.images import SourceImage
from data_prep.sources.reasons import BrokenError
from data_prep.storage.storage import absolute, finder

_SHOWN = 2


class Located(NamedTuple):
    """Images, each at the file that its name leads to; and of those whose name is not as written, by annotation file
    and byte of the record: the listed name with the file that a rule found, or why there is none."""

    images: list[SourceImage]
    by_rule: dict[tuple[int, int], tuple[str, FoundFile]]
    lost: dict[tuple[int, int], BrokenError]


def record_of(image: SourceImage) -> tuple[int, int]:
    """The annotation file and the byte of an image's record there."""
    return image.file, image.offset


class ImageFiles:
    """The files of the sources' images; each folder is listed at most once."""

    def __init__(self) -> None:
        self._folders = image_folders(finder)

    def as_written(self, image: SourceImage) -> FoundFile | None:
        """The file of exactly the listed name, if it is there."""
        return self._folders(image.folder).as_written(image.name)

    def locate(self, images: list[SourceImage]) -> Located:
        """Find the images' files, so that all spellings of one file, and of its folder, have one name."""
        placed: list[SourceImage] = []
        lost: dict[int, SourceImage] = {}
        for position, image in enumerate(images):
            written = self.as_written(image)
            if written is None:
                lost[position] = image
            placed.append(image if written is None or written.name == image.name else place(image, written))
        located = Located(placed, {}, {})
        used = (image for position, image in enumerate(placed) if position not in lost)
        for position, (image, outcome) in zip(lost, self.search([*lost.values()], used), strict=True):
            if isinstance(outcome, BrokenError):
                located.lost[record_of(image)] = outcome
            else:
                placed[position] = place(image, outcome)
                located.by_rule[record_of(image)] = (image.name, outcome)
        _spell_once(placed, located.lost)
        return located

    def search(
        self, lost: list[SourceImage], used: Iterable[SourceImage]
    ) -> Iterator[tuple[SourceImage, FoundFile | BrokenError]]:
        """Find the files of images that are not where their names say, in order; `used` are the images that are.

        A rule that drops a part of the name does not count where another name of the same source leads to that file. A
        name that differs in case alone is the same file's, if the listed sizes do not say otherwise.
        """
        found = [self._folders(image.folder).find(image.name) for image in lost]
        by_rule = [(image, file) for image, file in zip(lost, found, strict=True) if file]
        meant: dict[tuple[str, str], list[tuple[SourceImage, tuple[str, ...]]]] = {}
        for image, guess in by_rule:
            meant.setdefault((image.source, guess.path), []).append((image, guess.rules))
        for image in used if any(GUESSED.intersection(file.rules) for _, file in by_rule) else ():
            if (image.source, image.path) in meant:
                meant[image.source, image.path].append((image, ()))
        for image, file in zip(lost, found, strict=True):
            if file is None:
                yield image, _why_lost(self._folders(image.folder), image.name)
            elif GUESSED.intersection(file.rules) and not _is_one(meant[image.source, file.path]):
                others = "other names may mean it too"
                yield image, BrokenError("missing_file", f"only {file.name} is like it, and {others}")
            else:
                yield image, file


def _is_one(meant: list[tuple[SourceImage, tuple[str, ...]]]) -> bool:
    """Whether the records that lead to one file, some by rules that drop a part of the name, are one image's."""
    if len({image.name for image, _ in meant}) == 1:
        return True
    guesses = GUESSED.intersection(rule for _, rules in meant for rule in rules)
    sizes = {(image.width, image.height) for image, _ in meant if image.width and image.height}
    return guesses == {"file_name_case"} and len(sizes) <= 1


def place(image: SourceImage, file: FoundFile) -> SourceImage:
    """The image at the file that was found for it."""
    return msgspec.structs.replace(
        image, folder=file.folder, name=file.name, repaired=image.repaired or bool(file.rules)
    )


def _spell_once(images: list[SourceImage], lost: Container[tuple[int, int]]) -> None:
    """Give images of a folder that is written in several ways, relative, absolute or through links, its real path.

    An image keeps the name that its record gives the file where the path ends with the folders in it.
    """
    found = [position for position, image in enumerate(images) if record_of(image) not in lost]
    folders = {folder: absolute(folder) for folder in {posixpath.dirname(images[position].path) for position in found}}
    ways = Counter(folders.values())
    for position in found:
        image = images[position]
        folder, name = posixpath.split(image.path)
        real = folders[folder]
        if ways[real] == 1:
            continue
        own = posixpath.dirname(image.name)
        if real.endswith(f"/{own}"):
            real, name = real.removesuffix(f"/{own}"), image.name
        images[position] = msgspec.structs.replace(image, folder=real, name=name)


def count_repair(counts: Counts, image: SourceImage, name: str, file: FoundFile) -> None:
    """Count each rule that helped to find the file of an image whose record calls it `name`."""
    example = Example(image.listed, image.offset, "photograph", image.id, f'file_name: "{name}" is {file.name}')
    for rule in file.rules:
        counts.repair(image.source, rule, example)


def _why_lost(folder: ImageFolder, name: str) -> BrokenError:
    """Why no file was found. The folder is named without what stands above it, which differs between machines."""
    own = folder.folder.rpartition("/")[2]
    if is_url(name):
        return BrokenError("missing_file", f"URLs are not read; download the images, and list their names below {own}/")
    slashes = name.replace("\\", "/")
    if (
        name.strip("/.") == ""
        or "\0" in name
        or (not slashes.startswith("/") and below(folder.folder, slashes) is None)
    ):
        return BrokenError("bad_file_name", f"it leads out of {own}/" if name else "it is empty")
    seen = _instead_of(folder, own, name)
    if number := folder.names_without_text:
        seen += f"; {number} names there are no UTF-8: rename the files"
    return BrokenError("missing_file", seen)


def _instead_of(folder: ImageFolder, own: str, name: str) -> str:
    """What there is below the folder `own` in place of the file that a name says."""
    if len(same := folder.of_same_base(name)) > 1:
        shown = " and ".join(same[:_SHOWN]) + (" …" if len(same) > _SHOWN else "")
        return f"{len(same)} files below {own}/ are so named ({shown}); list the folder too"
    if "\ufffd" in name:
        return "a character of it is no text; rename the file, and list its new name"
    if same:
        return f"no such file below {own}/; {same[0]} is in another folder than it says"
    if others := folder.of_same_stem(name):
        return f"no such file below {own}/; {others[0]} has another extension: list that"
    if name.startswith(("/", "\\")):
        return f"no file at this absolute path, nor one of its name below {own}/"
    return f"no such file below {own}/, and none whose name differs in case or folder alone"
