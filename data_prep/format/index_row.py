"""What the index says of a photograph."""

import msgspec


class IndexRow(msgspec.Struct, frozen=True):
    """One photograph.

    Offsets and lengths are bytes of the two tar members' contents in `shard` (a path below the dataset's URI);
    `ids` the image's id by source, `classes` the sorted distinct class names by source, `license` the source's
    text or URL.
    """

    key: str
    split: str
    part: str
    shard: str
    image_offset: int
    image_length: int
    record_offset: int
    record_length: int
    width: int
    height: int
    ids: dict[str, int]
    flickr_id: int | None
    license: str | None
    classes: dict[str, list[str]]
