"""The files that numbered parts of a job leave: which parts are done, and a bar that shows it. No Beam."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tqdm import tqdm

from data_prep.beam.progress import advancing
from data_prep.storage.errors import DataError
from data_prep.storage.storage import list_files


def cut(images: int, part: int) -> list[tuple[int, int]]:
    """Parts of `part` images each, the last one of fewer: from … to before …."""
    return [(start, min(start + part, images)) for start in range(0, images, part)]


@dataclass(frozen=True)
class PartFiles:
    """A file for each part, which appears when the part is done: `<folder>/000007<suffix>`."""

    folder: str
    suffix: str

    def uri(self, part: int) -> str:
        """The file of a part."""
        return f"{self.folder}/{part:06d}{self.suffix}"

    def finished(self) -> set[int]:
        """The parts that are done."""
        names = list_files(self.folder)
        return {
            int(name.removesuffix(self.suffix))
            for name in names
            if not name.startswith(".") and name.endswith(self.suffix)
        }


@dataclass(frozen=True)
class Unfinished:
    """The parts that are not done, and a bar that counts the images of those that are."""

    parts: list[int]
    bar: Any
    count: Callable[[], int]

    @contextmanager
    def followed(self) -> Iterator[None]:
        """Let the bar advance by the files that appear, while workers do the parts."""
        with advancing(lambda: self.bar.update(self.count() - self.bar.n)):
            yield


@contextmanager
def unfinished(out: str, files: PartFiles, sizes: Sequence[int], command: str) -> Iterator[Unfinished]:
    """The parts to do, of so many images each, with a bar on stderr that bears the command's name.

    When the block ends, raises DataError if workers wrote the parts' files where this process does not see them.
    """

    def count() -> int:
        return sum(sizes[part] for part in files.finished())

    before = files.finished()
    with tqdm(total=sum(sizes), initial=count(), desc=command, unit="image", file=sys.stderr) as bar:
        yield Unfinished([part for part in range(len(sizes)) if part not in before], bar, count)
    if len(files.finished()) < len(sizes):
        raise DataError(f"{out}: the workers' files are not seen here; --out must be a shared folder or s3://")
