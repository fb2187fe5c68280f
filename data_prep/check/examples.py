"""Draw an example: the image, and the object's box if it has one."""

import json
from typing import Any

from data_prep.check.check import Checked
from data_prep.check.findings import Row
from data_prep.format.images import decode_luminance, decode_rgb
from data_prep.pages.drawing import Shape, draw
from data_prep.pages.html import jpeg_uri
from data_prep.shards.frame import is_upright
from data_prep.sources.coercions import to_id, to_numbers
from data_prep.sources.counts import Example
from data_prep.sources.images import SourceImage
from data_prep.sources.json_files import map_file
from data_prep.sources.reasons import BrokenError
from data_prep.storage.errors import DataError
from data_prep.storage.storage import read

_LONG_EDGE = 360
_LONGEST_RECORD = 1 << 20


def drawn(checked: Checked, row: Row) -> str | None:
    """The example as the `src` of an `img`; None where there is nothing to draw or the image cannot be read."""
    if row.example is None or not row.example.file:
        return None
    number = next(
        (i for i, file in enumerate(checked.files) if (file.source, file.label) == (row.source, row.example.file)), None
    )
    if number is None:
        return None
    record = {} if row.example.kind == "photograph" else _record(checked.files[number].path, row.example.offset)
    image = _image(checked, number, row.example, record)
    if image is None:
        return None
    try:
        data = read(image.path)
        upright = is_upright(image, decode_luminance(data, image.path, 1), checked.exif)
        pixels = decode_rgb(data, image.path, upright=upright)
    except DataError:
        return None
    return jpeg_uri(draw(pixels, _shapes(record), _LONG_EDGE))


def _record(path: str, offset: int) -> dict[str, Any]:
    """The record that begins at that byte of the annotation file; empty if it cannot be read."""
    text = map_file(path)[offset : offset + _LONGEST_RECORD].decode("utf-8", errors="replace")
    try:
        record, _ = json.JSONDecoder().raw_decode(text)
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}


def _image(checked: Checked, number: int, example: Example, record: dict[str, Any]) -> SourceImage | None:
    try:
        identity = example.id if example.kind == "photograph" else to_id("image_id", record.get("image_id"))
    except BrokenError:
        return None
    return checked.images.get((number, identity))


def _shapes(record: dict[str, Any]) -> list[Shape]:
    try:
        x, y, w, h = to_numbers("bbox", record.get("bbox"), 4)
    except BrokenError:
        return []
    return [Shape((x, y, x + w, y + h), None, False)]
