"""Files in the output folder that maskx did not write: they are neither replaced nor deleted."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec

from data_prep.storage.errors import JSON_ERRORS, ConfigError
from data_prep.storage.storage import absolute, exists, finder, read, read_range
from maskx_model.inference.coco_files import COCO_FILES, INFO
from maskx_model.inference.find_images import InputImage

SOFTWARE = ("Software", "maskx predict")
"""The text in an overlay's file that says what wrote it: PNG's keyword and its value."""

_REMEDY = "and would be replaced; choose another folder"
_HEAD = 128
"""An overlay's text stands within this many first bytes."""
_AT_ONCE = 16


class _Images(msgspec.Struct):
    info: dict[str, str]


def check_overlays(out: str, images: Sequence[InputImage]) -> None:
    """Raise ConfigError if an overlay would take the place of an input, or of a file that is no overlay."""
    find = finder(out)
    found = [(f"{out}/{image.overlay}", find(image.overlay)) for image in images]
    taken = {uri: info.bytes for uri, info in found if info is not None}
    inputs = {absolute(image.uri) for image in images} if taken else set()
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        for uri, is_overlay in zip(taken, threads.map(_is_overlay, taken, taken.values()), strict=True):
            if absolute(uri) in inputs:
                raise ConfigError(f"--out {out}: {uri} is an image to predict on, {_REMEDY}")
            if not is_overlay:
                raise ConfigError(f"--out {out}: {uri} is no overlay of an earlier run, {_REMEDY}")


def check_coco_files(out: str) -> None:
    """Raise ConfigError if `results.json` or `images.json` is there, and `images.json` does not say that maskx wrote
    them."""
    if _is_made(f"{out}/images.json"):
        return
    for name in COCO_FILES:
        if exists(f"{out}/{name}"):
            raise ConfigError(f"--out {out}: {out}/{name} is no earlier run's, {_REMEDY}")


def _is_overlay(uri: str, size: int) -> bool:
    return "\0".join(SOFTWARE).encode() in read_range(uri, 0, min(_HEAD, size))


def _is_made(uri: str) -> bool:
    try:
        return exists(uri) and msgspec.json.decode(read(uri), type=_Images).info == INFO
    except JSON_ERRORS:
        return False
