"""Rows of the tables over several choices of A, on one detector and one set of features."""

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from data_prep.format.reader import Dataset
from data_prep.storage.errors import ConfigError
from maskx_model.run_config import RunConfig
from maskx_model.study.splits import Split, check_splits, parse_split, prepare_features, read_splits, study_split
from maskx_model.study.splits_page import figure_3, figure_3_points, splits_csv, splits_markdown, write_splits

ROWS = ("1a/class-agnostic", "1a/embedding", "1a/cls+box")


@pytest.fixture(scope="module")
def results(
    toy_dataset: Dataset, detector: str, preset: RunConfig, tmp_path_factory: pytest.TempPathFactory
) -> list[str]:
    folder = tmp_path_factory.mktemp("splits")
    features = prepare_features(toy_dataset.uri, detector, f"{folder}/features", preset, 4)
    before = sorted((folder / "features").iterdir())
    found = [
        study_split(toy_dataset.uri, detector, features, f"{folder}/study", preset, Split(a, ROWS), (0,), 4)
        for a in ("random:40:1", "random:20:1", "random:20:2", "toy")
    ]
    assert sorted((folder / "features").iterdir()) == before  # every split found what it needs
    return found


def test_a_split_has_a_folder_of_its_own(results: list[str]) -> None:
    assert [Path(uri).relative_to(Path(results[0]).parents[2]).as_posix() for uri in results[:1]] == [
        "random-40-1/1a-class-agnostic-1a-embedding-1a-cls-box/split.json"
    ]
    assert len(set(results)) == 4


def test_results_stand_in_the_order_of_the_size_of_a(results: list[str]) -> None:
    read = read_splits(results)
    sizes = {each.mask_classes: each.classes_in_a for each in read}
    assert list(sizes.values()) == sorted(sizes.values())
    assert sizes.keys() == {"random:20:1", "random:20:2", "random:40:1", "toy"}
    assert [sizes[f"random:{name}"] for name in ("20:1", "20:2", "40:1")] == [20, 20, 40] and sizes["toy"] > 20


def test_the_table_has_every_row_of_every_split(results: list[str], tmp_path: Path) -> None:
    text = write_splits(results, str(tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == {"figure3.svg", "splits.csv", "splits.md"}
    assert (tmp_path / "splits.md").read_text(encoding="utf-8") == text == splits_markdown(read_splits(results))
    assert text.count("| random:20:") == 2 * len(ROWS)
    assert "no file of word vectors" in text
    lines = splits_csv(read_splits(results)).splitlines()
    assert len(lines) == 1 + 4 * len(ROWS)
    assert sum(line.endswith(",,,,") for line in lines) == 4  # the row that was not run


def test_figure_3_has_the_splits_that_were_drawn_at_random(results: list[str]) -> None:
    points = figure_3_points(read_splits(results))
    assert set(points) == {"class_agnostic", "transfer"}
    assert {size: len(aps) for size, aps in points["transfer"].items()} == {20: 2, 40: 1}


@pytest.mark.parametrize("points", [{}, {"transfer": {20: [1.0, 3.0], 40: [4.0]}, "class_agnostic": {20: [1.0]}}])
def test_figure_3_is_the_same_document_each_time(points: dict[str, dict[int, list[float]]]) -> None:
    document = figure_3(points)
    assert document == figure_3(points)
    assert ET.fromstring(document).tag.endswith("svg")


def test_a_split_is_a_choice_of_a_and_rows() -> None:
    assert parse_split("random:20:1=1a/cls; 1b/1-layer, none") == Split("random:20:1", ("1a/cls", "1b/1-layer, none"))


def test_every_split_that_is_wrong_is_told() -> None:
    with pytest.raises(ConfigError) as error:
        check_splits(["voc=1a", "voc", "=1a", "vox=1a", "voc=1z"])
    first, *lines = str(error.value).splitlines()
    assert first == "4 things are wrong:"
    for line, part in zip(lines, ("write A=ROWS", "write A=ROWS", "mask classes 'vox'", "'1z' does not"), strict=True):
        assert part in line
    with pytest.raises(ConfigError, match="name a choice of A"):
        check_splits([])
