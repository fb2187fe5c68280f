"""`maskx study holdout`: every step for real, in small."""

import json
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest

from data_prep.format.reader import Dataset
from data_prep.storage.errors import ConfigError, DataError, MaskxError
from maskx_model.artifacts import code_versions
from maskx_model.data.mask_classes import resolve_mask_classes
from maskx_model.run_config import RunConfig
from maskx_model.study import jobs
from maskx_model.study.estimate import Holdout
from maskx_model.study.frozen_detector import FrozenDetector
from maskx_model.study.holdout import HoldoutOptions, holdout, results_table
from maskx_model.study.jobs import Job, run_jobs
from maskx_model.study.variants import Variant, variant
from tests.processes import first_worker_killed

SMALL = HoldoutOptions(variants=("cls", "gt-rois"), folds=3, seeds=(0, 1))


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("holdout"))


@pytest.fixture(scope="module")
def result(toy_dataset: Dataset, detector: str, preset: RunConfig, out: str) -> Holdout:
    return holdout(toy_dataset.uri, detector, out, preset, SMALL, device="cpu")


def test_every_variant_is_measured_in_every_fold_with_every_seed(result: Holdout) -> None:
    assert [each.name for each in result.variants] == ["class_agnostic", "cls", "gt-rois"]
    assert [len(fold) for fold in result.folds] == [5, 4, 4]
    assert all(len(each.rows) == 6 for each in result.variants)
    assert all(0 <= ap <= 100 for each in result.variants for ap in each.rows)
    assert result.picked in {each.name for each in result.variants if not each.flagged}


def test_box_ap50_is_known_of_the_classes_held_out_and_of_b(result: Holdout) -> None:
    assert result.box_ap50.keys() == {"held out", "B"}
    assert all(ap is not None and 0 <= ap <= 100 for ap in result.box_ap50.values())


def test_it_is_written_as_json_and_as_a_page(result: Holdout, out: str) -> None:
    assert json.loads(Path(out, "holdout.json").read_bytes())["picked"] == result.picked
    page = Path(out, "holdout.html").read_text()
    assert "data:image/svg+xml" in page and "http" not in page.replace("http-equiv", "")
    table = results_table(result)
    assert all(each.name in page and each.name in table for each in result.variants)


def test_a_study_goes_on_where_it_was_cut_off(
    result: Holdout, toy_dataset: Dataset, detector: str, preset: RunConfig, out: str
) -> None:
    rows = sorted(Path(out, "rows").iterdir())
    assert len(rows) == 18
    rows[5].unlink()
    with patch.object(jobs, "measured_row", wraps=jobs.measured_row) as computed:
        assert holdout(toy_dataset.uri, detector, out, preset, SMALL, device="cpu") == result
    assert computed.call_count == 1
    assert sorted(Path(out, "rows").iterdir()) == rows


def test_rows_and_features_of_another_release_of_the_code_are_not_taken(
    toy_dataset: Dataset, detector: str, preset: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = replace(SMALL, variants=("cls",), folds=2, seeds=(0,))
    before = holdout(toy_dataset.uri, detector, str(tmp_path), preset, small, device="cpu")
    files = {folder: len(list((tmp_path / folder).iterdir())) for folder in ("rows", "features")}
    monkeypatch.setattr(code_versions, "version", lambda _: "99.1.2")
    code_versions.code_versions.cache_clear()
    after = holdout(toy_dataset.uri, detector, str(tmp_path), preset, small, device="cpu")
    code_versions.code_versions.cache_clear()
    assert after.made_from == {**before.made_from, "maskx": "99.1", "torch": "99.1", "torchvision": "99.1"}
    assert {folder: len(list((tmp_path / folder).iterdir())) for folder in files} == {
        folder: 2 * number for folder, number in files.items()
    }


def test_a_damaged_row_is_named(
    result: Holdout, toy_dataset: Dataset, detector: str, preset: RunConfig, out: str
) -> None:
    row = min(Path(out, "rows").iterdir())
    whole = row.read_bytes()
    row.write_bytes(whole[:10])
    with pytest.raises(DataError, match=f"{row.name}: damaged .* delete it"):
        holdout(toy_dataset.uri, detector, out, preset, SMALL, device="cpu")
    row.write_bytes(whole)


def test_a_fold_that_no_image_shows_is_told_before_heads_are_trained(
    toy_dataset: Dataset, detector: str, preset: RunConfig, tmp_path: Path
) -> None:
    files = [tmp_path / f"{label}.txt" for label in resolve_mask_classes("coco", toy_dataset.vocabulary, "coco")]
    for file in files:
        file.write_text(toy_dataset.vocabulary.names[int(file.stem)])
    one_image = replace(SMALL, fold_classes=[str(file) for file in files], max_images=1)
    with pytest.raises(DataError, match="split 'val' has no object with a mask of the fold of"):
        holdout(toy_dataset.uri, detector, str(tmp_path), preset, one_image, "coco", device="cpu")
    assert not (tmp_path / "rows").exists()


def test_random_folds_are_of_the_classes_that_can_be_measured(
    toy_dataset: Dataset, detector: str, preset: RunConfig, tmp_path: Path
) -> None:
    one_image = HoldoutOptions(variants=("randn",), folds=100, max_images=1)
    found = holdout(toy_dataset.uri, detector, str(tmp_path), preset, one_image, "coco", device="cpu")
    (row,) = toy_dataset.select("val", "coco")[:1]
    shown = {a.category for a in toy_dataset.read_record(row).objects["coco"] if a.mask and not a.iscrowd}
    in_a = {
        toy_dataset.vocabulary.names[label] for label in resolve_mask_classes("coco", toy_dataset.vocabulary, "coco")
    }
    assert sorted(name for fold in found.folds for name in fold) == sorted(shown & in_a)
    assert {len(fold) for fold in found.folds} == {1}


@pytest.mark.parametrize("processes", [1, 2])
def test_a_head_that_diverges_is_named_and_the_others_are_kept(
    frozen: FrozenDetector, tmp_path: Path, processes: int, capfd: pytest.CaptureFixture[str]
) -> None:
    vectors = tmp_path / "vectors.txt"
    words = {word for name in frozen.data.vocabulary.names for word in name.split()}
    vectors.write_text("".join(f"{word} 1e30 1e30\n" for word in sorted(words)))
    endless = Variant("words", replace(frozen.preset.mask, transfer_input="embedding", embedding_dim=2), "gt")
    todo = [Job(each, frozen.masks_of, frozen.measured[:2], 5) for each in (endless, variant("cls", frozen.preset))]
    with pytest.raises(MaskxError, match=r"1 of 2 heads could not be trained, the others are kept\. variant words, s"):
        run_jobs(replace(frozen, embedding=str(vectors)), todo, str(tmp_path / "rows"), processes, "heads")
    assert [path.name.split("-")[0] for path in (tmp_path / "rows").iterdir()] == ["cls"]
    bars = capfd.readouterr().err
    assert "heads: 100%" in bars
    assert ("stage 2, learning rate" in bars) is (processes == 1)  # bars of several processes would mix


def test_a_process_that_is_killed_ends_in_one_sentence_and_the_study_goes_on(
    frozen: FrozenDetector, tmp_path: Path
) -> None:
    todo = [Job(variant("cls", frozen.preset), frozen.masks_of, frozen.measured[:2], seed) for seed in (5, 6)]
    rows = str(tmp_path / "rows")
    sentence = "a worker process was killed, often for lack of memory; fewer --jobs need less; the same command again"
    with first_worker_killed(), pytest.raises(MaskxError, match=sentence):
        run_jobs(frozen, todo, rows, 2, "heads")
    assert len(run_jobs(frozen, todo, rows, 2, "heads")) == 2


@pytest.mark.slow
def test_processes_give_the_same_rows(
    result: Holdout, toy_dataset: Dataset, detector: str, preset: RunConfig, tmp_path: Path
) -> None:
    options = HoldoutOptions(variants=("cls", "gt-rois"), folds=3, seeds=(0, 1), jobs=2)
    again = holdout(toy_dataset.uri, detector, str(tmp_path), preset, options, device="cpu")
    for one, other in zip(result.variants, again.variants, strict=True):
        assert other.rows == pytest.approx(one.rows, abs=0.1)


def test_folds_can_be_listed(toy_dataset: Dataset, detector: str, preset: RunConfig, tmp_path: Path) -> None:
    names = toy_dataset.vocabulary.names
    masked = resolve_mask_classes("coco", toy_dataset.vocabulary, "coco")
    for number in (0, 1):
        (tmp_path / f"fold{number}").write_text("\n".join(names[label] for label in masked[number * 20 :][:20]))
    options = HoldoutOptions(
        variants=("randn",), fold_classes=(str(tmp_path / "fold0"), str(tmp_path / "fold1")), max_images=4
    )
    found = holdout(toy_dataset.uri, detector, str(tmp_path), preset, options, mask_classes="coco", device="cpu")
    assert [len(fold) for fold in found.folds] == [20, 20]
    assert found.box_ap50["B"] is not None  # of classes that have masks in validation alone


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (HoldoutOptions(folds=1), "folds: at least 2 are needed, 1 was requested"),
        (HoldoutOptions(seeds=()), "seeds: at least one"),
        (HoldoutOptions(seeds=(1, 1)), "seeds: at least one is needed, and none twice"),
        (HoldoutOptions(max_images=0), "max_images: at least one image is needed, got 0"),
        (HoldoutOptions(rois_at_most=0), "rois_at_most: at least one RoI is needed to train on, got 0"),
        (HoldoutOptions(jobs=0), "jobs: at least one process"),
        (HoldoutOptions(variants=("mlp",)), "variant 'mlp' does not exist"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    options: HoldoutOptions, message: str, toy_dataset: Dataset, detector: str, preset: RunConfig, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        holdout(toy_dataset.uri, detector, str(tmp_path), preset, options)


def test_a_head_of_word_vectors_is_refused_before_anything_is_computed(
    toy_dataset: Dataset, detector: str, preset: RunConfig, tmp_path: Path
) -> None:
    of_words = replace(preset, mask=replace(preset.mask, transfer_input="embedding", embedding_dim=50))
    with pytest.raises(ConfigError, match="word vectors cannot be measured by leaving classes out"):
        holdout(toy_dataset.uri, detector, str(tmp_path), of_words, SMALL)
    assert not list(tmp_path.iterdir())
