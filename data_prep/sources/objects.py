"""The objects that an annotation file has for an image, and what becomes of them."""

from dataclasses import dataclass, field
from typing import NamedTuple

from data_prep.format.records import Annotation
from data_prep.sources.box_counts import BoxCounts
from data_prep.sources.coordinates import CoordinateTransform


class RejectedObject(NamedTuple):
    """A broken object: the byte of its record in the file, its own bytes, the reason's code, and what was seen.

    It holds no error, whose traceback would keep all that was being worked on in memory.
    """

    offset: int
    data: bytes
    reason: str
    seen: str


class ObjectFinding(NamedTuple):
    """A repair of an object that is used, or what looks odd about it: the reason's code, the byte of its record, its
    id, and what was seen."""

    reason: str
    offset: int
    id: int
    seen: str


@dataclass(slots=True)
class ImageObjects:
    """An image's objects of one file: those included, in the file's order, and the number of them that were clipped;
    the reason of each one excluded by rule; those rejected. Of those included: the repairs of each one that was
    changed, by its position in `annotations`; what looks odd, and what their boxes look like."""

    annotations: list[Annotation] = field(default_factory=list)
    clipped: int = 0
    excluded: list[str] = field(default_factory=list)
    rejected: list[RejectedObject] = field(default_factory=list)
    changed: dict[int, list[ObjectFinding]] = field(default_factory=dict)
    noted: list[ObjectFinding] = field(default_factory=list)
    boxes: BoxCounts = field(default_factory=BoxCounts)

    @property
    def repairs(self) -> list[ObjectFinding]:
        """All repairs of objects that are included."""
        return [repair for repairs in self.changed.values() for repair in repairs]

    @property
    def repaired(self) -> int:
        """The number of included objects that were repaired."""
        return len(self.changed)

    @property
    def count(self) -> int:
        """The number of objects, whatever became of them."""
        return len(self.annotations) + len(self.excluded) + len(self.rejected)


class RawRecord(NamedTuple):
    """A record of an annotation file as bytes, its byte offset there, the transform of its coordinates, and the objects
    that its own are added to."""

    data: bytes
    offset: int
    transform: CoordinateTransform
    objects: ImageObjects
