"""The passes over whole annotation files, made ahead by processes that have nothing to do yet: planning finds what they
found."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial

from data_prep.sources.coco import coco_layout
from data_prep.sources.json_files import map_file
from data_prep.sources.layout import kept_sha256
from data_prep.sources.options import CocoFiles, SourceFiles
from data_prep.sources.visual_genome import visual_genome_layout
from data_prep.storage.errors import MaskxError


def read_ahead(sources: Sequence[SourceFiles], number: int, count: int) -> None:
    """Make the share of process `number` among `count` that do so.

    The last sources come first, for planning begins with the others. What is wrong with a file is for planning to tell.
    """
    for each in list(_passes(sources))[number::count]:
        with suppress(MaskxError):
            each()


def _passes(sources: Sequence[SourceFiles]) -> Iterator[Callable[[], object]]:
    for files in reversed(sources):
        path = files.annotations if isinstance(files, CocoFiles) else f"{files.folder}/objects.json"
        yield partial(_layout, files, path)
        yield partial(kept_sha256, path)


def _layout(files: SourceFiles, path: str) -> None:
    (coco_layout if isinstance(files, CocoFiles) else visual_genome_layout)(path, map_file(path))
