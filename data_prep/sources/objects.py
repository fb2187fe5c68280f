"""What comes of the objects that an annotation file has for a image."""

from dataclasses import dataclass, field
from typing import NamedTuple

from data_prep.format.records import Annotation
from data_prep.sources.coordinates import Frame


class Broken(NamedTuple):
    """An object that is rejected: the byte of its record in the file, its own bytes, the reason, and what was seen.

    Not the error itself, whose traceback would keep all that was being worked on.
    """

    offset: int
    data: bytes
    reason: str
    seen: str


@dataclass(slots=True)
class Objects:
    """The objects taken, in the file's order, how many of them were clipped, the others' reasons, and broken ones."""

    annotations: list[Annotation] = field(default_factory=list)
    clipped: int = 0
    left_out: list[str] = field(default_factory=list)
    rejected: list[Broken] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many objects there are, whatever came of them."""
        return len(self.annotations) + len(self.left_out) + len(self.rejected)


class Item(NamedTuple):
    """A record of an annotation file, the byte where it begins there, whose frame it lies in, and where it goes."""

    data: bytes
    offset: int
    frame: Frame
    into: Objects
