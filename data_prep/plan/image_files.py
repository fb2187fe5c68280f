"""Find the images' files: where their names say, else by the ladder of `data_prep/sources/file_names.py`."""

from collections.abc import Iterable, Iterator
from functools import cache

import msgspec

from data_prep.sources.counts import Counts, Example
from data_prep.sources.file_names import GUESSED, FoundFile, ImageFolder, below, image_folders, is_url
from data_prep.sources.images import SourceImage
from data_prep.sources.reasons import BrokenError
from data_prep.storage.storage import finder

_SHOWN = 2


class ImageFiles:
    """The files of the sources' images; each folder is listed at most once."""

    def __init__(self) -> None:
        self._folders = image_folders(cache(finder))

    def as_written(self, image: SourceImage) -> FoundFile | None:
        """The file of exactly the listed name, if it is there."""
        return self._folders(image.folder).as_written(image.name)

    def search(
        self, lost: list[SourceImage], used: Iterable[SourceImage]
    ) -> Iterator[tuple[SourceImage, FoundFile | BrokenError]]:
        """Find the files of images that are not where their names say, in order; `used` are the images that are.

        A rule that drops a part of the name does not count where another name of the same source leads to that file.
        """
        found = [self._folders(image.folder).find(image.name) for image in lost]
        names = {(i.source, f.path): {i.name} for i, f in zip(lost, found, strict=True) if f}
        for image, file in zip(lost, found, strict=True):
            if file:
                names[image.source, file.path].add(image.name)
        for image in used if any(f and GUESSED.intersection(f.rules) for f in found) else ():
            if (image.source, image.path) in names:
                names[image.source, image.path].add(image.name)
        for image, file in zip(lost, found, strict=True):
            if file is None:
                yield image, _why_lost(self._folders(image.folder), image.name)
            elif GUESSED.intersection(file.rules) and len(names[image.source, file.path]) > 1:
                others = "other names may mean it too"
                yield image, BrokenError("missing_file", f"only {file.name} is like it, and {others}")
            else:
                yield image, file

    def located(self, images: list[SourceImage]) -> list[SourceImage]:
        """The images, each at the file that its name leads to; unchanged where there is none."""
        lost = [image for image in images if self.as_written(image) is None]
        lost_ids = {image.identity for image in lost}
        used = (image for image in images if image.identity not in lost_ids)
        placed = {
            image.identity: place(image, file) for image, file in self.search(lost, used) if isinstance(file, FoundFile)
        }
        return [placed.get(image.identity, image) for image in images]


def place(image: SourceImage, file: FoundFile) -> SourceImage:
    """The image at the file that was found for it."""
    return msgspec.structs.replace(
        image, folder=file.folder, name=file.name, repaired=image.repaired or bool(file.rules)
    )


def count_repair(counts: Counts, image: SourceImage, file: FoundFile) -> None:
    """Count each rule that helped to find the file of an image, listed as `image`."""
    example = Example(image.listed, image.offset, "photograph", image.id, f'file_name: "{image.name}" is {file.name}')
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
    if len(same := folder.of_same_base(name)) > 1:
        shown = " and ".join(same[:_SHOWN]) + (" …" if len(same) > _SHOWN else "")
        return BrokenError(
            "missing_file", f"{len(same)} files below {own}/ are so named ({shown}); list the folder too"
        )
    if slashes.startswith("/"):
        return BrokenError("missing_file", f"no file at this absolute path, nor one of its name below {own}/")
    return BrokenError(
        "missing_file", f"no such file below {own}/, and none whose name differs in case or folder alone"
    )
