"""Files and folders appear under their names only when they are whole."""

from pathlib import Path

import pytest

from data_prep.format.errors import ConfigError, DataError
from data_prep.format.storage import create, create_folder, local_path, read, read_range, sha256, write


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write(f"{tmp_path}/a/b", b"12345")
    assert read(f"file://{tmp_path}/a/b") == b"12345"
    assert read_range(tmp_path / "a/b", 1, 3) == b"234"
    assert sha256(tmp_path / "a/b") == "5994471abb01112afcc18159f6cc74b4f511b99806da59b3caf5a9c173cacfc5"


def test_a_file_whose_writing_fails_leaves_the_old_one(tmp_path: Path) -> None:
    write(tmp_path / "a", b"old")
    with pytest.raises(ZeroDivisionError), create(tmp_path / "a") as file:
        file.write(b"ne")
        raise ZeroDivisionError
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert read(tmp_path / "a") == b"old"


def test_a_folder_whose_filling_fails_leaves_the_old_one(tmp_path: Path) -> None:
    write(tmp_path / "folder/old", b"")
    with pytest.raises(ZeroDivisionError), create_folder(tmp_path / "folder") as partial:
        (partial / "new").touch()
        raise ZeroDivisionError
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == ["folder", "folder/old"]


def test_a_folder_filled_replaces_the_old_one(tmp_path: Path) -> None:
    write(tmp_path / "folder/old", b"")
    with create_folder(tmp_path / "folder") as partial:
        (partial / "new").touch()
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["new"]


def test_a_missing_file_and_one_cut_short_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing: no such file"):
        read(tmp_path / "nothing")
    write(tmp_path / "short", b"123")
    with pytest.raises(DataError, match="short: ends at byte 3, expected 5"):
        read_range(tmp_path / "short", 0, 5)


def test_another_scheme_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="ftp://"):
        local_path("ftp://host/a")
