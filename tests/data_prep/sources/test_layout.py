"""The pass over an annotation file is made once for every state of the file."""

import os
from pathlib import Path

import pytest

from data_prep.sources.json_files import map_file, read_items
from data_prep.sources.layout import array_layout, cached_sha256, object_layout
from data_prep.storage.errors import DataError
from data_prep.storage.scratch import scratch_folder

LONG_AGO = 1_600_000_000_000_000_000


def written(path: Path, text: str, time_ns: int | None = LONG_AGO) -> str:
    """A file with that text and that time; None: now."""
    path.write_text(text)
    if time_ns is not None:
        os.utime(path, ns=(time_ns, time_ns))
    return str(path)


def test_a_second_run_skips_the_pass(tmp_path: Path) -> None:
    path = written(tmp_path / "objects.json", '[{"a": 1}, {"b": 2}]')
    first, digest = array_layout(path, map_file(path), "of images"), cached_sha256(path)
    # What no pass over the file could come by: broken now, of the same length, and of the same time.
    written(tmp_path / "objects.json", '[{"a": 1}, {"b": 2,,')
    assert array_layout(path, map_file(path), "of images") == first
    assert cached_sha256(path) == digest


@pytest.mark.parametrize(("text", "time_ns"), [("[1, 2,,]", LONG_AGO), ("[1,,3]", LONG_AGO + 1), ("[1,,3]", None)])
def test_a_changed_file_is_read_again(tmp_path: Path, text: str, time_ns: int | None) -> None:
    path = written(tmp_path / "objects.json", "[1, 3]")
    before = cached_sha256(path)
    array_layout(path, map_file(path), "of images")
    written(tmp_path / "objects.json", text, time_ns)
    with pytest.raises(DataError, match="broken JSON"):
        array_layout(path, map_file(path), "of images")
    assert cached_sha256(path) != before


def test_a_file_written_a_moment_ago_may_change_without_its_time(tmp_path: Path) -> None:
    path = written(tmp_path / "objects.json", "[1, 3]", None)
    array_layout(path, map_file(path), "of images")
    state = Path(path).stat()
    written(tmp_path / "objects.json", "[1,,3]", state.st_mtime_ns)
    with pytest.raises(DataError, match="broken JSON"):
        array_layout(path, map_file(path), "of images")


def test_a_cached_layout_locates_everything(tmp_path: Path) -> None:
    path = written(tmp_path / "file.json", '{"images": [{"id": 1}], "info": {"é": [1]}, "annotations": []}')
    for _ in range(2):
        layout, buffer = object_layout(path, map_file(path), ("images", "annotations")), map_file(path)
        assert [
            bytes(item) for byte_range in layout.byte_ranges(7, "images") for _, item in read_items(buffer, byte_range)
        ] == [b'{"id": 1}']
        assert [byte_range.file for byte_range in layout.byte_ranges(7, "images")] == [7]
        assert layout.byte_ranges(7, "annotations") == []
        assert bytes(layout.read(buffer, "info") or b"") == '{"é": [1]}'.encode()
        assert layout.read(buffer, "licenses") is None


def test_a_cached_layout_that_is_damaged_is_made_again(tmp_path: Path) -> None:
    path = written(tmp_path / "objects.json", "[1, 3]")
    first = array_layout(path, map_file(path), "of images")
    for cached in (scratch_folder() / "layouts").iterdir():
        cached.write_text("{")
    assert array_layout(path, map_file(path), "of images") == first
