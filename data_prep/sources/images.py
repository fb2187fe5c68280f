"""An image as one source lists it."""

import msgspec


class SourceImage(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One image record.

    `width` and `height` are in pixels; 0 is not known: the file's is taken. `name` is its file's path below `folder`:
    as the record has it, whatever it may be, until the file is found (`data_prep/plan/image_files.py`), then as the
    file has it. `listed` is the label of the file that lists it, at byte `offset`; `file` the number of the annotation
    file with its objects, in which `id` is unique. Two sources mean the same image if their `coco_id` or `flickr_id`
    match. `negative` are the classes known to be absent, `not_exhaustive` those of which some objects may lack
    annotations. `new_id` is its id in the dataset where another image of the source has its id, and `original_id`
    the id that its record has where the dataset's is another. `repaired` says that its record is used after a change.
    `aliases` are the identities of further records of the same file.
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
    new_id: int | None = None
    original_id: str | None = None
    repaired: bool = False
    aliases: tuple[tuple[int, int], ...] = ()

    @property
    def path(self) -> str:
        """The path or URI of its file; empty where it has no name."""
        return self.name and f"{self.folder}/{self.name}"

    @property
    def dataset_id(self) -> int:
        """Its id in the dataset, unique among its source's images of a split."""
        return self.id if self.new_id is None else self.new_id

    @property
    def identity(self) -> tuple[int, int]:
        """Its annotation file and its id there: unique among all images."""
        return self.file, self.id
