"""Rows of a mapped index: they read like a list, in any order, and travel as a path and positions."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from data_prep.format.index import ROWS_AT_ONCE, IndexRow, write_index
from data_prep.format.mapped_index import map_index
from data_prep.format.rows import Rows

COUNT = ROWS_AT_ONCE + 300


def row(number: int) -> IndexRow:
    split, source = ("val" if number % 10 == 0 else "train"), ("vg" if number % 3 else "coco")
    classes = {source: sorted({f"class {number % 7}", f"class {number % 11}"}), "other": ["class 0"]}
    return IndexRow(
        f"{source}-{number}",
        split,
        source,
        "s.tar",
        10 * number,
        5,
        9,
        1,
        640,
        480,
        {source: number},
        None,
        "a",
        classes,
    )


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Rows:
    uri = f"{tmp_path_factory.mktemp('rows')}/index.parquet"
    write_index(uri, map(row, range(COUNT)))
    return Rows.of(map_index(uri))


def test_they_read_like_a_list(rows: Rows) -> None:
    assert len(rows) == COUNT
    assert rows[0] == row(0) and rows[-1] == row(COUNT - 1) and rows[ROWS_AT_ONCE] == row(ROWS_AT_ONCE)
    assert list(rows[3:COUNT:4000]) == [row(3), row(4003), row(8003)]
    with pytest.raises(IndexError):
        rows[COUNT]


def test_they_come_in_the_order_that_was_taken(rows: Rows) -> None:
    scattered = np.array([COUNT - 1, 5, 5, 8000])
    assert [each.image_offset for each in rows.take(scattered)] == (10 * scattered).tolist()
    assert rows.take(scattered).numbers("image_offset").tolist() == (10 * scattered).tolist()


def test_splits_sources_and_classes_select_what_a_loop_selects(rows: Rows) -> None:
    trained = rows.of_split("train", "vg")
    every = [row(number) for number in range(COUNT)]
    assert [each.key for each in trained] == [r.key for r in every if r.split == "train" and "vg" in r.ids]
    wanted = {"class 3", "class 10", "class none"}
    expected = [each.key for each in trained if not wanted.isdisjoint(each.classes["vg"])]
    assert [each.key for each in trained.showing("vg", wanted)] == expected
    assert len(rows.of_split("test", "vg")) == len(rows.of_split("val", "lvis")) == 0


def test_the_classes_of_each_row_are_those_of_the_index(rows: Rows) -> None:
    trained = rows.of_split("train", "coco")
    found: dict[int, set[str]] = {}
    for part in trained.shown("coco"):
        for at, name in zip(part.rows.tolist(), part.classes.tolist(), strict=True):
            found.setdefault(at, set()).add(part.names[name])
    assert [found[at] for at in range(len(trained))] == [set(each.classes["coco"]) for each in trained]


def test_another_process_gets_the_path_and_the_positions(rows: Rows) -> None:
    sent = pickle.dumps(rows)
    assert len(sent) < 4 * COUNT + 1000
    assert pickle.loads(sent)[77] == rows[77]


def test_a_changed_index_is_mapped_anew(tmp_path: Path) -> None:
    write_index(f"{tmp_path}/index.parquet", [row(1)])
    assert [each.key for each in Rows.of(map_index(f"{tmp_path}/index.parquet"))] == ["vg-1"]
    write_index(f"{tmp_path}/index.parquet", [row(2), row(3)])
    assert [each.key for each in Rows.of(map_index(f"{tmp_path}/index.parquet"))] == ["vg-2", "coco-3"]
