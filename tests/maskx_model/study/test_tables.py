"""`maskx study tables`: rows are trained and measured for real, in small."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from data_prep.format.reader import Dataset
from data_prep.storage.errors import ConfigError, DataError
from maskx_model.run_config import RunConfig
from maskx_model.study.table_result import Tables
from maskx_model.study.table_rows import METHODS, ORDERINGS, ROWS, chosen_rows
from maskx_model.study.table_runs import mask_config
from maskx_model.study.tables import TablesOptions, results_table, tables
from tests.maskx_model.tiny_presets import tiny_cached
from tests.processes import kill_when

SOME = ("1a/randn", "1a/embedding", "1a/cls+box", "1a/oracle", "1b/2-layer, LeakyReLU", "1d/transfer, end to end")
GRABCUT = ("2/GrabCut at test", "2/Mask R-CNN on GrabCut masks")
OPTIONS = TablesOptions(rows=SOME + GRABCUT, seeds=(0, 1), max_images=4)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("tables"))


@pytest.fixture(scope="module")
def result(toy_dataset: Dataset, detector: str, preset: RunConfig, out: str) -> Tables:
    return tables(toy_dataset.uri, out, preset, OPTIONS, [detector], device="cpu")


def test_every_row_of_the_papers_tables_is_there(preset: RunConfig) -> None:
    names = {table: [row.name for row in ROWS if row.table == table] for table in ("1a", "1b", "1c", "1d", "2")}
    assert {"randn", "embedding", "cls", "box", "cls+box"} <= set(names["1a"])
    assert len(names["1b"]) == 5
    assert names["1c"] == ["class-agnostic", "class-agnostic+MLP", "transfer", "transfer+MLP"]
    assert names["1d"][2:] == [
        "class-agnostic, end to end",
        "transfer, end to end",
        "transfer, end to end, stop-gradient",
    ]
    assert len(names["2"]) == 5
    assert {row.method for row in ROWS} == METHODS.keys()
    assert {(each.table, name) for each in ORDERINGS for name in (each.lower, each.higher)} <= {
        (row.table, row.name) for row in ROWS
    }
    settings = [
        (method.training, method.all_masks, mask_config(preset, method, None))
        for name, method in METHODS.items()
        if name != "embedding"
    ]
    assert all(settings.count(each) == 1 for each in settings)


def test_rows_are_chosen_by_table_or_by_name() -> None:
    assert chosen_rows(()) == ROWS
    assert [row.id for row in chosen_rows(("2/oracle", "1c"))] == [
        "1c/class-agnostic",
        "1c/class-agnostic+MLP",
        "1c/transfer",
        "1c/transfer+MLP",
        "2/oracle",
    ]
    with pytest.raises(ConfigError, match="rows: '3' does not exist"):
        chosen_rows(("3",))


def test_each_row_has_its_mean_and_spread_over_the_seeds(result: Tables) -> None:
    rows = {f"{row.table}/{row.name}": row for row in result.rows}
    assert list(rows) == [row.id for row in ROWS if row.id in SOME + GRABCUT]
    for name, row in rows.items():
        if name != "1a/embedding":
            for spread in (row.a, row.b, row.b_given):
                assert spread is not None and len(spread.seeds) == 2 and 0 <= spread.mean <= 100
    assert rows["1a/embedding"].b is None
    assert rows["1a/embedding"].not_run == "no file of word vectors was named (--embedding)"
    assert rows["1a/cls+box"].b == rows["1b/2-layer, LeakyReLU"].b  # the same method: trained once


def test_orderings_between_rows_that_were_run_are_judged(result: Tables) -> None:
    judged = {(each.table, each.lower, each.higher): each for each in result.orderings}
    assert judged.keys() == {
        ("1a", "cls+box", "oracle"),
        ("2", "GrabCut at test", "Mask R-CNN on GrabCut masks"),
    }
    assert all(each.seeds == 2 and (each.difference > 0) == each.holds for each in judged.values())


def test_they_are_written_as_json_csv_and_a_page(result: Tables, out: str) -> None:
    written = json.loads(Path(out, "tables.json").read_bytes())
    assert [row["name"] for row in written["rows"]] == [row.name for row in result.rows]
    lines = Path(out, "tables.csv").read_text().splitlines()
    assert len(lines) == 1 + len(result.rows) and lines[0].startswith("table,row,b_mean,b_deviation")
    page = Path(out, "tables.html").read_text()
    assert "Table 1a: input of T" in page and "no file of word vectors" in page and "Table 1c" not in page
    table = results_table(result)
    assert all(row.name in table for row in result.rows)


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on_and_keeps_its_rows(
    result: Tables, toy_dataset: Dataset, detector: str, tmp_path: Path
) -> None:
    script = [sys.executable, "-m", "tests.maskx_model.study.tables_process", toy_dataset.uri, detector, str(tmp_path)]
    kill_when(script, lambda: list(tmp_path.glob("rows/*.json")))
    done = sorted(tmp_path.glob("rows/*.json"))
    assert not (tmp_path / "tables.json").exists()
    before = {file: file.stat().st_mtime_ns for file in done}
    subprocess.run(script, check=True)
    assert {file: file.stat().st_mtime_ns for file in done} == before
    again = json.loads((tmp_path / "tables.json").read_bytes())
    first = {row.method: row for row in result.rows if row.table == "1a"}
    for row in again["rows"]:
        expected = first[row["method"]].b
        assert expected is not None and row["b"]["seeds"] == pytest.approx(expected.seeds)


def test_detectors_are_trained_where_none_is_given(toy_dataset: Dataset, tmp_path: Path) -> None:
    options = TablesOptions(rows=("1a/randn",), seeds=(3,), max_images=2)
    small = tiny_cached(steps=1)
    guessing = replace(small, detector=replace(small.detector, score_threshold=0.0, detections_per_image=5))
    result = tables(toy_dataset.uri, str(tmp_path), guessing, options, device="cpu")
    assert (tmp_path / "detectors" / "seed-3" / "manifest.json").exists()
    assert result.rows[0].b is not None


def test_word_vectors_give_their_row(toy_dataset: Dataset, detector: str, preset: RunConfig, tmp_path: Path) -> None:
    vectors = tmp_path / "vectors.txt"
    names = [name.replace(" ", "_") for name in toy_dataset.vocabulary.names]
    vectors.write_text("".join(f"{name} {number}.5 1.0 -1.0\n" for number, name in enumerate(names)))
    options = TablesOptions(rows=("1a/embedding",), seeds=(0,), max_images=2, embedding=str(vectors))
    row = tables(toy_dataset.uri, str(tmp_path / "out"), preset, options, [detector], device="cpu").rows[0]
    assert row.not_run is None and row.b is not None


def test_word_vectors_that_lack_a_class_are_refused_before_anything_is_trained(
    toy_dataset: Dataset, preset: RunConfig, tmp_path: Path
) -> None:
    vectors = tmp_path / "vectors.txt"
    vectors.write_text("red 0.5 1.0 -1.0\n")
    options = TablesOptions(seeds=(0,), embedding=str(vectors))
    with pytest.raises(ConfigError, match="no vector for"):
        tables(toy_dataset.uri, str(tmp_path / "out"), preset, options, device="cpu")
    assert not (tmp_path / "out").exists()


def test_models_trained_end_to_end_are_those_of_their_crops_and_of_the_weight_of_made_masks(
    toy_dataset: Dataset, detector: str, preset: RunConfig, tmp_path: Path
) -> None:
    options = TablesOptions(rows=("1d/transfer, end to end",), seeds=(0,), max_images=2)
    other = replace(preset, crops=replace(preset.crops, steps=2))
    weighted = replace(other, stage2=replace(other.stage2, made_mask_weight=0.5))
    for number, each in enumerate((preset, other, weighted), start=1):
        tables(toy_dataset.uri, str(tmp_path), each, options, [detector], device="cpu")
        assert len(list((tmp_path / "end-to-end").iterdir())) == number


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (TablesOptions(seeds=()), "seeds: at least one"),
        (TablesOptions(seeds=(1, 1)), "none twice"),
        (TablesOptions(jobs=0), "jobs: at least one process"),
        (TablesOptions(seeds=(0, 1, 2)), "one for each of 3 seeds"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    options: TablesOptions, message: str, toy_dataset: Dataset, detector: str, preset: RunConfig, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        tables(toy_dataset.uri, str(tmp_path), preset, options, [detector, detector])


def test_a_and_b_must_both_be_measurable(
    toy_dataset: Dataset, detector: str, preset: RunConfig, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="no object with a mask of a class outside the mask classes"):
        tables(toy_dataset.uri, str(tmp_path), preset, TablesOptions(split="train"), [detector], mask_classes="coco")
