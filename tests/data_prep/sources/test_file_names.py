"""The ladder of file names: each rule finds the one file that is meant, and no rule finds another image's file."""

import os
import unicodedata
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from data_prep.sources.file_names import ImageFolder, below
from data_prep.sources.reasons import REPAIRED
from data_prep.storage.storage import finder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a/p 0.jpg", "a/same.jpg", "b/same.jpg", "b/Only.JPG", "caf\u00e9.png", "100%.jpg"):
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    (tmp_path / "outside.jpg").write_bytes(b"outside")
    return tmp_path / "images"


def found(folder: Path, name: str) -> tuple[str, tuple[str, ...]] | None:
    """The file below the folder that a name leads to, with the rules, as `prepare` finds it."""
    images = ImageFolder(str(folder), finder)
    file = images.as_written(name) or images.find(name)
    return file and (os.path.relpath(file.path, folder), file.rules)


@pytest.mark.parametrize(
    ("name", "file", "rules"),
    [
        ("a/p 0.jpg", "a/p 0.jpg", []),
        ("a/./p 0.jpg", "a/p 0.jpg", []),
        ("100%.jpg", "100%.jpg", []),
        ("a\\p 0.jpg", "a/p 0.jpg", ["backslash"]),
        (".\\a\\p 0.jpg", "a/p 0.jpg", ["backslash"]),
        ("a/p%200.jpg", "a/p 0.jpg", ["percent"]),
        ("a%5Cp%200.jpg", "a/p 0.jpg", None),
        ("cafe\u0301.png", "caf\u00e9.png", ["unicode"]),
        ("b/../a/p 0.jpg", "a/p 0.jpg", ["dots"]),
        ("../images/a/p 0.jpg", "a/p 0.jpg", ["dots"]),
        ("b/only.jpg", "b/Only.JPG", ["case"]),
        ("A/P 0.JPG", "a/p 0.jpg", ["case"]),
        ("/caf\u00e9.png", "caf\u00e9.png", ["slash"]),
        ("\\a\\p 0.jpg", "a/p 0.jpg", ["backslash", "slash"]),
        ("images/a/p 0.jpg", "a/p 0.jpg", ["folder"]),
        ("data/images/caf\u00e9.png", "caf\u00e9.png", ["folder"]),
        ("C:\\me\\images\\b\\same.jpg", "b/same.jpg", ["backslash", "folder"]),
        ("/home/me/photos/b/same.jpg", "b/same.jpg", ["folder"]),
        ("/home/me/p 0.jpg", "a/p 0.jpg", ["base"]),
        ("/data/local-files/?d=me/p 0.jpg", "a/p 0.jpg", ["base"]),
        ("p 0.jpg", "a/p 0.jpg", ["base"]),
    ],
)
def test_each_rule_finds_the_file_that_is_meant(folder: Path, name: str, file: str, rules: list[str] | None) -> None:
    result = found(folder, name)
    assert result is not None
    assert result[0] == file
    if rules is not None:
        assert sorted(result[1]) == sorted(f"file_name_{rule}" for rule in rules)
    assert REPAIRED.keys() >= set(result[1])


@pytest.mark.parametrize(
    "name",
    [
        "", ".", "..", "/", "../outside.jpg", "..\\outside.jpg", "a/../../outside.jpg", "%2e%2e/outside.jpg",
        "same.jpg", "c/same.jpg", "https://example.org/a/p 0.jpg", "S3://bucket/p 0.jpg", "x\0.jpg", "%00.jpg", "a",
        "x" * 5000,
    ],
)  # fmt: skip
def test_what_names_no_file_or_several_or_leads_out_finds_none(folder: Path, name: str) -> None:
    assert found(folder, name) is None


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("b/p 0.jpg", None),
        ("B\\p 0.jpg", None),
        ("/home/me/b/p 0.jpg", None),
        ("b/a/p 0.jpg", None),
        ("b/c/p 0.jpg", None),
        ("d/p 0.jpg", "a/p 0.jpg"),
        ("in/q.jpg", "a/in/q.jpg"),
        ("in/a/q.jpg", "a/in/q.jpg"),
        ("d/in/q.jpg", "a/in/q.jpg"),
    ],
)
def test_a_folder_of_the_name_that_is_there_is_not_dropped(folder: Path, name: str, file: str | None) -> None:
    (folder / "a/in").mkdir()
    (folder / "a/in/q.jpg").write_bytes(b"")
    result = found(folder, name)
    assert (result and result[0]) == file


def test_an_absolute_path_that_exists_is_used(folder: Path) -> None:
    for name in (f"{folder.parent}/outside.jpg", f"file://{folder.parent}/outside.jpg"):
        assert found(folder, name) == ("../outside.jpg", ("file_name_absolute",))


def test_a_name_in_two_cases_is_not_guessed(folder: Path) -> None:
    (folder / "b/only.jpg").write_bytes(b"")
    assert found(folder, "b/ONLY.jpg") is None


names = st.text(
    st.characters(codec="utf-8", exclude_characters="/\\\0%:", exclude_categories=["Cs"]), min_size=1, max_size=8
)


@given(st.lists(names.filter(lambda n: n.strip(".") != ""), min_size=1, max_size=3), st.data())
@settings(suppress_health_check=list(HealthCheck), max_examples=100, deadline=None)
def test_any_spelling_of_a_path_leads_to_its_file(
    tmp_path_factory: pytest.TempPathFactory, parts: list[str], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("images")
    path = folder.joinpath(*parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    name = "/".join(parts)
    assume(name == unicodedata.normalize("NFC", name))
    spellings = (
        name.replace("/", "\\"),
        quote(name),
        quote(name).replace("/", "\\"),
        unicodedata.normalize("NFD", name),
        f"{folder.name}/{name}",
        f"{folder.name}\\{unicodedata.normalize('NFD', name)}",
        str(path),
        f"x/../{name}",
        name.swapcase(),
    )
    spelled = data.draw(st.sampled_from(spellings))
    assume(spelled != name.swapcase() or spelled.casefold() == name.casefold())
    assert found(folder, spelled) is not None
    assert found(folder, spelled)[0] == name  # type: ignore[index]


@given(st.text(max_size=30), st.sampled_from(["/data/images", "images", ".", "s3://bucket/images"]))
def test_a_name_that_stays_below_says_where(name: str, folder: str) -> None:
    inside = below(folder, name)
    if inside is not None:
        assert not set(inside.split("/")) & {"", ".", ".."}
        assert below(folder, inside) == inside
