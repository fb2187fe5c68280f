"""The Parquet files of a dataset: round trips, equal bytes, and one sentence for a damaged one."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from data_prep.format.index import IndexRow, write_index
from data_prep.format.mapped_index import map_index
from data_prep.format.rejects import Reject, excerpt, write_rejects
from data_prep.format.rows import Rows
from data_prep.storage.errors import DataError
from tests.data_prep.rejects import read_rejects

ROW = IndexRow(
    key="coco-000000000001",
    split="train",
    part="coco+vg",
    shard="train/coco+vg-000000.tar",
    image_offset=512,
    image_length=1000,
    record_offset=2048,
    record_length=300,
    width=640,
    height=480,
    ids={"coco": 1, "vg": 2300001},
    flickr_id=9254279287,
    license="http://creativecommons.org/licenses/by/2.0/",
    classes={"coco": ["cat", "dog"], "vg": []},
)
REJECT = Reject("vg", "objects.json", "object", 7, 99, "zero_size", '{"w": 0}')
shared_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)


def test_index_rows_come_back_in_the_order_written(tmp_path: Path) -> None:
    rows = [ROW, IndexRow(**{**{f: getattr(ROW, f) for f in ROW.__struct_fields__}, "key": "a", "flickr_id": None})]
    write_index(f"{tmp_path}/index.parquet", rows)
    assert list(Rows.of(map_index(f"{tmp_path}/index.parquet"))) == rows


def test_rows_are_written_while_they_come(tmp_path: Path) -> None:
    rows = [structs.replace(ROW, key=str(number)) for number in range(20_000)]
    write_index(f"{tmp_path}/index.parquet", iter(rows))
    write_index(f"{tmp_path}/again.parquet", rows)
    assert list(Rows.of(map_index(f"{tmp_path}/index.parquet"))) == rows
    assert (tmp_path / "index.parquet").read_bytes() == (tmp_path / "again.parquet").read_bytes()


def test_equal_rows_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_index(f"{tmp_path}/{name}", [ROW])
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@given(st.data())
@shared_folder
def test_a_damaged_index_is_refused_or_read_and_never_crashes(tmp_path: Path, data: st.DataObject) -> None:
    write_index(f"{tmp_path}/index.parquet", [ROW])
    whole = (tmp_path / "index.parquet").read_bytes()
    cut = data.draw(st.integers(0, len(whole) - 1))
    (tmp_path / "index.parquet").write_bytes(whole[:cut])
    with pytest.raises(DataError, match=r"index\.parquet"):
        Rows.of(map_index(f"{tmp_path}/index.parquet"))


def test_a_table_with_other_columns_is_refused(tmp_path: Path) -> None:
    write_rejects(f"{tmp_path}/table", [REJECT])
    with pytest.raises(DataError, match="other columns"):
        Rows.of(map_index(f"{tmp_path}/table"))


def test_a_missing_index_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"index\.parquet: no such file"):
        Rows.of(map_index(f"{tmp_path}/index.parquet"))


def test_rejects_come_back_sorted(tmp_path: Path) -> None:
    other = Reject("coco", "a.json", "photograph", -1, -1, "unreadable", "")
    write_rejects(f"{tmp_path}/rejects.parquet", [REJECT, other])
    assert read_rejects(f"{tmp_path}/rejects.parquet") == [other, REJECT]


@given(st.binary(max_size=2000))
def test_an_excerpt_is_short_text_of_any_bytes(data: bytes) -> None:
    assert len(excerpt(data).encode("utf-8").decode("utf-8")) <= 200
