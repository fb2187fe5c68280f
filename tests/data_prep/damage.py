"""Ways to damage a file, each from one generator of random numbers: the bytes, the JSON's syntax, or what it says."""

import gzip
import json
import random
from collections.abc import Callable
from typing import Any

# Values that JSON text can hold and no writer of a document would put there; `@name@` is replaced in the text.
_TEXTS = {
    "@deep@": "[" * 3000 + "]" * 3000,
    "@deeper@": '{"a":' * 3000 + "1" + "}" * 3000,
    "@long@": "9" * 5000,
    "@beyond@": "1e999",
    "@tiny@": "-1e-999",
    "@nan@": "NaN",
    "@infinity@": "-Infinity",
    "@python@": "None",
    "@half@": '"\\\\ud83d"',
    "@escape@": '"\\\\x"',
    "@control@": '"\x01"',
}
_VALUES: list[Any] = [
    None, True, "", "text", "7", [], {}, [[]], [None], {"id": 1}, 0, -1, 1.5, 2**31, 2**53 + 1, 2**63, 2**64, -(2**70),
    1e300, -0.0, "\x00", "é" * 300, "../../x", "a\\b.jpg",
    "%2e%2e/x.jpg", "/x.jpg", "https://example.org/x.jpg", *_TEXTS,
]  # fmt: skip


def damage_json(text: bytes, dice: random.Random) -> bytes:
    """The file with one to three things wrong in its bytes or in what it says, mostly one."""
    for _ in range(dice.choice((1, 1, 1, 2, 3))):
        text = dice.choice(_JSON)(text, dice)
    return text


def damage_bytes(data: bytes, dice: random.Random) -> bytes:
    """Any file with one to three things wrong in its bytes."""
    for _ in range(dice.randint(1, 3)):
        data = dice.choice(_BYTES)(data, dice)
    return data


def _flip_a_bit(data: bytes, dice: random.Random) -> bytes:
    changed = bytearray(data or b" ")
    changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
    return bytes(changed)


def _set_a_byte(data: bytes, dice: random.Random) -> bytes:
    changed = bytearray(data or b" ")
    changed[dice.randrange(len(changed))] = dice.randrange(256)
    return bytes(changed)


def _cut_short(data: bytes, dice: random.Random) -> bytes:
    return data[: dice.randrange(len(data) + 1)]


def _cut_out(data: bytes, dice: random.Random) -> bytes:
    start, end = _slice(data, dice)
    return data[:start] + data[end:]


def _repeat(data: bytes, dice: random.Random) -> bytes:
    start, end = _slice(data, dice)
    return data[:end] + data[start:]


def _swap(data: bytes, dice: random.Random) -> bytes:
    start, end = _slice(data, dice)
    later, last = _slice(data[end:], dice)
    rest = data[end:]
    return data[:start] + rest[later:last] + rest[:later] + data[start:end] + rest[last:]


def _insert(data: bytes, dice: random.Random) -> bytes:
    place = dice.randrange(len(data) + 1)
    piece = dice.choice([b"\x00", b"\x00" * 4096, b"\xff\xfe", b"\xc3", b"\xed\xa0\x80", b"\xef\xbb\xbf", b'"', b"\n"])
    return data[:place] + piece + data[place:]


def _write_otherwise(text: bytes, dice: random.Random) -> bytes:
    """The same text in another encoding, compressed, with a comment or with a comma too many."""
    if dice.random() < 0.2:
        return gzip.compress(text, mtime=0)
    if dice.random() < 0.3:
        place = dice.choice([place for place, byte in enumerate(text) if byte in b"]}"] or [0])
        return text[:place] + dice.choice([b",", b"/* by me */", b"# by me\n"]) + text[place:]
    return text.decode("utf-8", "replace").encode(
        dice.choice(["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
    )


def _slice(data: bytes, dice: random.Random) -> tuple[int, int]:
    start = dice.randrange(len(data) + 1)
    return start, min(len(data), start + dice.choice((1, 2, 8, 64, 512)))


def _repeat_a_key(text: bytes, dice: random.Random) -> bytes:
    """`{"id": 1` → `{"id": VALUE, "id": 1`, at any object and with any of the document's keys."""
    places = [place for place, byte in enumerate(text) if byte == ord("{")]
    keys = [b"id", b"image_id", b"images", b"objects", b"annotations", b"bbox", b"synsets", b"width"]
    if not places:
        return text
    place = dice.choice(places) + 1
    return text[:place] + b'"' + dice.choice(keys) + b'": ' + _encode(dice.choice(_VALUES)) + b", " + text[place:]


def _change_a_value(text: bytes, dice: random.Random) -> bytes:
    """Another value, none, or a second copy anywhere in the document."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return _set_a_byte(text, dice)
    holder, place = _somewhere(document, dice)
    if holder is None:
        return _encode(dice.choice(_VALUES))
    what = dice.random()
    if what < 0.15:
        del holder[place]
    elif what < 0.25 and isinstance(holder, list):
        holder.append(holder[place])
    else:
        holder[place] = dice.choice(_VALUES)
    return _encode(document)


def _somewhere(document: Any, dice: random.Random) -> tuple[Any, Any]:
    """A container of the document and a place in it: each step down is as likely as staying."""
    holder, place = None, None
    while isinstance(document, dict | list) and document and (holder is None or dice.random() < 0.8):
        holder = document
        place = dice.choice(list(document)) if isinstance(document, dict) else dice.randrange(len(document))
        document = document[place]
    return holder, place


def _encode(document: Any) -> bytes:
    text = json.dumps(document)
    for name, value in _TEXTS.items():
        text = text.replace(f'"{name}"', value.replace("\\\\", "\\"))
    return text.encode("utf-8", "surrogatepass")


_Damage = Callable[[bytes, random.Random], bytes]
_BYTES: tuple[_Damage, ...] = (_flip_a_bit, _set_a_byte, _cut_short, _cut_out, _repeat, _swap, _insert)
_JSON: tuple[_Damage, ...] = (*_BYTES, _write_otherwise, *(_change_a_value,) * 12, *(_repeat_a_key,) * 3)
