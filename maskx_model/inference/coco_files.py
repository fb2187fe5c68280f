"""`results.json` and `images.json`: what was found, in COCO's results format, and what its numbers mean."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from data_prep.format.vocabulary import Vocabulary
from data_prep.storage.storage import create, write
from maskx_model.results.coco_results import category_ids

COCO_FILES = ("results.json", "images.json")
INFO = {"made_by": "maskx"}
"""COCO's `info` in `images.json`: both files are maskx's."""
Add = Callable[[dict[str, Any], Iterable[dict[str, Any]]], None]
"""Takes an image's entry, which has its `id`, and its results, as `to_results` gives them without `image_id`."""


@contextmanager
def coco_files(out: str, vocabulary: Vocabulary) -> Iterator[Add]:
    """Write both files below `out`, image by image: `COCO("images.json").loadRes("results.json")`.

    They appear when the block ends without an error.
    """
    entries: list[dict[str, Any]] = []
    with create(f"{out}/results.json") as file:
        separator = b"[\n"

        def add(entry: dict[str, Any], results: Iterable[dict[str, Any]]) -> None:
            nonlocal separator
            entries.append(entry)
            for result in results:
                file.write(separator + msgspec.json.encode({"image_id": entry["id"], **result}))
                separator = b",\n"

        yield add
        file.write(b"[]\n" if separator == b"[\n" else b"\n]\n")
    write(f"{out}/images.json", _describe(entries, vocabulary))


def _describe(images: list[dict[str, Any]], vocabulary: Vocabulary) -> bytes:
    categories = [
        {"id": number, "name": c.name, "synset": c.synset}
        for number, c in zip(category_ids(vocabulary), vocabulary.classes, strict=True)
    ]
    document = {"info": INFO, "images": images, "annotations": [], "categories": categories}
    return msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n"
