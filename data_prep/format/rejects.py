"""What is said of a thing that was rejected for being broken."""

from typing import Literal

import msgspec

EXCERPT_LENGTH = 200

Kind = Literal["photograph", "object"]


class Reject(msgspec.Struct, frozen=True, order=True):
    """One rejected thing.

    `file` is a path below the source's folder, `id` the photograph's or object's in the source (-1: it has none),
    `offset` the byte in an annotation file where its record begins (-1: not from one), `reason` a code, `excerpt`
    up to 200 characters of what was found.
    """

    source: str
    file: str
    kind: Kind
    id: int
    offset: int
    reason: str
    excerpt: str


def excerpt(data: bytes | str) -> str:
    """The first 200 characters, as text whatever the bytes are."""
    text = data if isinstance(data, str) else data[: 4 * EXCERPT_LENGTH].decode("utf-8", errors="replace")
    return text[:EXCERPT_LENGTH]
