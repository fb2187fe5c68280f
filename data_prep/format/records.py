"""What is known of one image: the `<key>.json` beside each image in a shard.

Annotations stand by source, as the source has them: its own class names (never an index, so another vocabulary
does not rewrite the shards), its own ids and its own numbers. What a vocabulary makes of a class name is decided
by whoever reads (`vocabulary.py`).
"""

import re

import msgspec

KEY = re.compile(r"[a-z0-9-]+")
_LARGEST_ID = 2**53
_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,29}")


class Rle(msgspec.Struct, frozen=True, gc=False):
    """A mask as compressed COCO run lengths over the whole image: `size` is (height, width)."""

    size: tuple[int, int]
    counts: str


class Annotation(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One object of one source.

    `bbox` is (x, y, width, height) in pixels of this image, `area` in square pixels (the mask's where the
    source says so), `category` the source's own class name (`potted plant`, `bag.n.06`), `mask` absent where
    the source has a box only. `iscrowd=1` marks a region of many objects, never a positive. `provenance` says which
    program and model made the mask, where no person drew it, and `mask_score` how sure that is, in 0..1, if known.
    `original_id` is the id in the source's file where that is text, or no number up to 2^53.
    """

    id: int
    category: str
    bbox: tuple[float, float, float, float]
    area: float
    iscrowd: int = 0
    mask: Rle | None = None
    provenance: str | None = None
    mask_score: float | None = None
    original_id: str | None = None

    @property
    def listed_id(self) -> int | str:
        """Its id in the source's own file."""
        return as_listed(self.id, self.original_id)


class Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """One image: `width` and `height` in pixels, `ids` and `objects` by source name.

    Where a source says so, also by source name: `negative`, the classes that were looked for and are not there, and
    `not_exhaustive`, those of which not every object is annotated. `original_ids`, likewise, are the ids that the
    sources' files have where those of `ids` had to be others. `names`: how each source calls its file of the image, a
    path below its image folder; datasets of format 1.2 and before lack them. `upright`: all of it is meant for the
    image as its EXIF data turn it, so that readers turn the pixels before anything else.
    """

    key: str
    width: int
    height: int
    ids: dict[str, int]
    objects: dict[str, list[Annotation]]
    negative: dict[str, list[str]] = {}
    not_exhaustive: dict[str, list[str]] = {}
    original_ids: dict[str, str] = {}
    names: dict[str, str] = {}
    upright: bool = False

    def listed_id(self, source: str) -> int | str:
        """The image's id in the source's own file: text, or a number beyond 2^53, where that has one. The dataset's id
        where another image of the source has the file's."""
        return as_listed(self.ids[source], self.original_ids.get(source))


def as_listed(number: int, original: str | None) -> int | str:
    """An id as its file has it: the `original` where there is one, as the dataset's `number` stands for it."""
    if original is None:
        return number
    if not _WHOLE.fullmatch(original):
        return original
    return number if 0 <= int(original) <= _LARGEST_ID else int(original)


_encoder = msgspec.json.Encoder(order="deterministic")
_decoder = msgspec.json.Decoder(Record)


def encode_record(record: Record) -> bytes:
    """The record as JSON; equal records give equal bytes."""
    return _encoder.encode(record)


def decode_record(data: bytes) -> Record:
    """The inverse of `encode_record`; raises msgspec.ValidationError for anything else."""
    return _decoder.decode(data)


def image_key(source: str, image_id: int) -> str:
    """`coco-000000216794`, `vg-0002300001`: a name without a dot, for files and WebDataset keys alike."""
    digits = 10 if source == "vg" else 12
    return f"{source}-{image_id:0{digits}d}"
