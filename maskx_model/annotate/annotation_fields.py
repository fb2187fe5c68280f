"""What is added to an annotation, a JSON object: its mask, the mask's score, and the mark of the model that made it."""

from collections.abc import Callable

import msgspec

from data_prep.sources.json_files import byte_range_of
from data_prep.sources.provenance import Provenance, read_mark

MADE_BY = "maskx annotate"


def with_mask(
    annotation: bytes, segmentation: bytes, mark: Provenance, as_written: Callable[[int, int], bytes] | None = None
) -> bytes:
    """The annotation with mask, score and mark. All its other fields stay, byte for byte and in their order:
    `as_written` gives the bytes from … to before … as its file has them, where `annotation` is a copy of them.

    A `score` of its own, a box's, stays; one that belongs to an earlier mark is replaced.
    """
    written = as_written or (lambda start, end: annotation[start:end])
    fields = msgspec.json.decode(annotation, type=dict[str, msgspec.Raw])
    before = fields.get("provenance", msgspec.Raw(b"null"))
    earlier = read_mark(before)
    first = before if earlier is None else earlier.before
    if bytes(first) not in (b"", b"null"):
        mark = msgspec.structs.replace(mark, before=msgspec.Raw(written(*byte_range_of(first, annotation))))
    added = {"segmentation": segmentation}
    if "score" not in fields or (earlier is not None and bytes(fields["score"]) == msgspec.json.encode(earlier.score)):
        added["score"] = msgspec.json.encode(mark.score)
    added["provenance"] = msgspec.json.encode(mark)
    if not added.keys() & fields.keys():
        tail = b",".join(_member(name, value) for name, value in added.items())
        return written(0, len(annotation) - 1).rstrip() + (b"," if fields else b"") + tail + b"}"
    members = {name: written(*byte_range_of(value, annotation)) for name, value in fields.items()} | added
    return b"{" + b",".join(_member(name, value) for name, value in members.items()) + b"}"


def _member(name: str, value: bytes) -> bytes:
    return msgspec.json.encode(name) + b":" + value
