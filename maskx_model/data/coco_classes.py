"""COCO's 80 classes, known by their names: other datasets in COCO's format number classes of their own."""

import csv
from functools import cache
from importlib.resources import files

from data_prep.format.vocabulary import VocabularyClass


@cache
def coco_ids() -> dict[str, int]:
    """COCO's category id of each of its 80 classes, by name, in the order of the ids."""
    table = files("data_prep.format").joinpath("coco_synsets.csv").read_text(encoding="utf-8")
    return {row["name"]: int(row["category_id"]) for row in csv.DictReader(table.splitlines())}


def coco_id(c: VocabularyClass) -> int | None:
    """COCO's category id of the class, None if no source's name for it is a COCO class's name."""
    names = (name for source in c.sources.values() for name in source.names)
    return next((coco_ids()[name] for name in names if name in coco_ids()), None)
