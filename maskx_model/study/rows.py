"""A measured head's row: AP of each class. Rows are files, so that a study resumes where it was cut off."""

from collections.abc import Callable

import msgspec

from data_prep.storage.own_files import read_own
from data_prep.storage.storage import exists, write

ClassAP = dict[int, float]
"""AP, 0-100, of each class that has an object, by its position in the vocabulary."""


class Row(msgspec.Struct, frozen=True):
    """Mask AP of each measured class that has an object, on predicted and on ground-truth boxes."""

    ap: ClassAP
    ap_gt_boxes: ClassAP


def read_row(file: str) -> Row:
    """The row in that file; raises DataError if it is damaged."""
    return read_own(file, Row)


def write_row(file: str, row: Row) -> None:
    """Write the row to that file."""
    write(file, msgspec.json.encode(row))


def cached_row(file: str, measure: Callable[[], Row]) -> Row:
    """The row in that file; measured and written first if there is none."""
    if not exists(file):
        write_row(file, measure())
    return read_row(file)
