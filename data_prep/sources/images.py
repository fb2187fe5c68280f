"""A photograph as one source lists it."""

import msgspec


class SourceImage(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One image record.

    `path` is where its file is (empty where the record's file name leads out of the image folder), `listed` the file
    that lists it (below the source's folder), at byte `offset`; `file` the number of the annotation file with its
    objects, in which `id` is unique. `coco_id` and `flickr_id` tell whether two sources mean the same photograph.
    `negative` are the classes that are known not to be in it, `not_exhaustive` those of which not every object is
    annotated.
    """

    source: str
    file: int
    id: int
    width: int
    height: int
    split: str
    path: str
    listed: str
    offset: int
    coco_id: int | None = None
    flickr_id: int | None = None
    license: str | None = None
    negative: tuple[str, ...] = ()
    not_exhaustive: tuple[str, ...] = ()

    @property
    def identity(self) -> tuple[int, int]:
        """What tells the image from every other one: its annotation file and its id there."""
        return self.file, self.id
