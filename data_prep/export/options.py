"""The options of export."""

from dataclasses import dataclass
from typing import Literal

Images = Literal["copy", "link", "none"]


@dataclass(frozen=True)
class ExportOptions:
    """What to export, and where.

    `dataset`: its URI. `out`: a new folder on disk. `source`: whose annotations, None where the dataset has one source.
    `split`: None for all. `classes`: by any name that the dataset knows them by; none given means all, also those
    outside its vocabulary. `images`: `copy` from the shards, `link` to the original files, or `none`.
    """

    dataset: str
    out: str
    source: str | None = None
    split: str | None = None
    classes: tuple[str, ...] = ()
    images: Images = "copy"
