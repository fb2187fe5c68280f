"""The names of annotation files in messages."""

import logging
from collections import defaultdict
from dataclasses import replace

from data_prep.sources.options import CocoFiles, SourceFiles

logger = logging.getLogger(__name__)


def tell(files: CocoFiles) -> None:
    """Log what is read of a source, for whoever reads it: of a folder, only some files are annotations."""
    logger.info("%s: %s for %s, with the images in %s", files.source, files.annotations, files.split, files.images)


def with_labels(sources: list[SourceFiles]) -> list[SourceFiles]:
    """The sources, their files labeled so that each differs from the others of its source.

    Several exports of one project often have one file name: then the label begins with folders above them.
    """
    labeled = list(sources)
    while alike := _alike(labeled):
        for position, files in alike.items():
            labeled[position] = replace(files, above=files.above + 1)
    return labeled


def _alike(sources: list[SourceFiles]) -> dict[int, CocoFiles]:
    """Those with the label of another file of their source, by position."""
    found: dict[tuple[str, str], dict[int, CocoFiles]] = defaultdict(dict)
    for position, files in enumerate(sources):
        if isinstance(files, CocoFiles):
            found[files.source, files.label][position] = files
    groups = [group for group in found.values() if len({files.path for files in group.values()}) > 1]
    return {position: files for group in groups for position, files in group.items()}
