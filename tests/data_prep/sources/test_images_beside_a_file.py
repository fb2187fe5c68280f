"""`NAME=coco:FILE`, without a folder of images: where they are looked for, and what is said of them."""

import logging
from pathlib import Path

import pytest

from data_prep.sources.options import parse_sources
from data_prep.storage.errors import DataError
from tests.data_prep.small_sources import prepare_plainly
from tests.data_prep.sources.exports import found, write_tree


@pytest.mark.parametrize("images", ["", "images/", "data/", "train/", "ann/"])
def test_a_file_alone_is_looked_for_images_beside_it(tmp_path: Path, images: str) -> None:
    write_tree(tmp_path, {"ann.json": ["a.jpg", "b.jpg"]}, [f"{images}a.jpg", f"{images}b.jpg"])
    expected = f"{tmp_path}/{images}".rstrip("/")
    assert found(f"mine@test-2=coco:{tmp_path}/ann.json", tmp_path / "no") == [
        ("test-2", f"{tmp_path}/ann.json", expected)
    ]


def test_what_was_found_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_tree(tmp_path, {"ann.json": ["a.jpg"]}, ["images/a.jpg"])
    with caplog.at_level(logging.INFO):
        prepare_plainly(tmp_path / "out", f"mine@val=coco:{tmp_path}/ann.json")
    assert caplog.text.count("with the images in") == 1
    assert f"mine: {tmp_path}/ann.json for val, with the images in {tmp_path}/images" in caplog.text


def test_two_folders_with_the_names_are_not_chosen_between(tmp_path: Path) -> None:
    write_tree(tmp_path, {"ann.json": ["a.jpg"]}, ["images/a.jpg", "data/a.jpg"])
    with pytest.raises(DataError, match=r"may be in .*/images or .*/data, .* mine=coco:ANNOTATIONS,IMAGES"):
        parse_sources((f"mine=coco:{tmp_path}/ann.json",))


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["a.jpg"], r"its images \(a\.jpg is the first\) are not in .*; name the folder"),
        (["https://example.org/a.jpg"], r"lists URLs \(https://.*\), which are not read; download"),
        ([], "lists no image with a file_name"),
    ],
)
def test_a_file_alone_whose_images_are_nowhere_near_is_told(tmp_path: Path, names: list[str], words: str) -> None:
    write_tree(tmp_path, {"ann.json": names}, ["images/other.jpg"])
    with pytest.raises(DataError, match=words):
        parse_sources((f"mine=coco:{tmp_path}/ann.json",))
