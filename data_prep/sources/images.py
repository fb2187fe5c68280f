"""An image as one source lists it."""

import msgspec

_sides: dict[int, int] = {}


def side(pixels: int) -> int:
    """The same number, as one object for all images that have such a side: there are few, and each takes 32 bytes."""
    return _sides.setdefault(pixels, pixels)


class SourceImage(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One image record.

    `name` is its file's path below `folder` (empty where the record's file name leads out of it), `listed` the file
    that lists it (below the source's folder), at byte `offset`; `file` the number of the annotation file with its
    objects, in which `id` is unique. `coco_id` and `flickr_id` tell whether two sources mean the same image.
    `negative` are the classes that are known not to be in it, `not_exhaustive` those of which not every object is
    annotated.
    """

    source: str
    file: int
    id: int
    width: int
    height: int
    split: str
    folder: str
    name: str
    listed: str
    offset: int
    coco_id: int | None = None
    flickr_id: int | None = None
    license: str | None = None
    negative: tuple[str, ...] = ()
    not_exhaustive: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """Where its file is; empty where it has no name."""
        return self.name and f"{self.folder}/{self.name}"

    @property
    def identity(self) -> tuple[int, int]:
        """What tells the image from every other one: its annotation file and its id there."""
        return self.file, self.id
