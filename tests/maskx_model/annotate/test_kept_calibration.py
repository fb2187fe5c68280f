"""Scores that are calibrated on known masks, and the calibration that a model keeps."""

import json
import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest

from data_prep.format.vocabulary import SourceClass, Vocabulary, write_vocabulary
from data_prep.storage.errors import DataError
from data_prep.storage.storage import sha256
from maskx_model.annotate import calibrate as calibrate_module
from maskx_model.annotate.calibrate import calibrate
from maskx_model.annotate.calibration import Calibration
from maskx_model.annotate.kept_calibration import KeptCalibration, keep_calibration
from maskx_model.artifacts.model_folder import model_hash
from maskx_model.inference.segmenter import Segmenter
from pipelines.cli import main
from tests.maskx_model.annotate.small_boxes import NAMES, annotation, write_boxes
from tests.maskx_model.annotate.small_runs import annotated, run
from tests.maskx_model.synthetic import random_world
from tests.maskx_model.synthetic_dataset import vocabulary_of, write_dataset


def test_scores_are_calibrated_on_known_masks(model: str, tmp_path: Path) -> None:
    records, _ = random_world(3, 70, NAMES)
    write_dataset(tmp_path / "data", records, NAMES)
    source = write_boxes(tmp_path, [annotation(1), annotation(2, 2)])
    plain = run(model, tmp_path / "plain", source)
    own = str(shutil.copytree(model, tmp_path / "model"))
    summary = run(own, tmp_path / "calibrated", source, calibrate=f"{tmp_path}/data")
    assert plain.calibration is None
    assert summary.calibration is not None
    sure = np.array([a["score"] for a in annotated(tmp_path / "plain")])
    scores = [a["score"] for a in annotated(tmp_path / "calibrated")]
    assert scores == pytest.approx(summary.calibration.score(sure), abs=1e-3)
    assert [a["provenance"]["score"] for a in annotated(tmp_path / "calibrated")] == scores
    few, _ = random_world(3, 8, NAMES)
    write_dataset(tmp_path / "few", few, NAMES)
    with pytest.raises(DataError, match=r"few: split val, \d images that show classes of A: \d+ known masks"):
        run(own, tmp_path / "other", source, calibrate=f"{tmp_path}/few")


def test_a_source_that_has_no_validation_images_is_passed_over(model: str, tmp_path: Path) -> None:
    write_dataset(tmp_path / "data", random_world(3, 70, NAMES)[0], NAMES)
    alone = calibrate(Segmenter.load(model), f"{tmp_path}/data")
    first, *others = vocabulary_of(NAMES).classes
    own = SourceClass(first.sources["coco"].names, 9, 9)
    both = msgspec.structs.replace(first, sources={**first.sources, "mine": own})
    write_vocabulary(f"{tmp_path}/data/vocabulary.json", Vocabulary((both, *others)))
    assert calibrate(Segmenter.load(model), f"{tmp_path}/data") == alone


def test_images_without_known_masks_take_no_place_of_those_with_some(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibrate_module, "IMAGES", 60)
    records, _ = random_world(3, 140, NAMES)
    boxes_only = [
        msgspec.structs.replace(
            record,
            objects={
                source: [msgspec.structs.replace(a, mask=None) for a in own] for source, own in record.objects.items()
            },
        )
        for record in records[:70]
    ]
    write_dataset(tmp_path / "data", records, NAMES, claimed=[*boxes_only, *records[70:]])
    fitted = calibrate(Segmenter.load(model), f"{tmp_path}/data")
    known = [a for each in records[70:] for a in each.objects["coco"] if a.category == "cup" and not a.iscrowd]
    assert 50 <= fitted.objects <= len(known)


def test_a_model_keeps_its_calibration_for_later_runs(
    model: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_dataset(tmp_path / "data", random_world(3, 70, NAMES)[0], NAMES)
    source = write_boxes(tmp_path, [annotation(1), annotation(2, 2)])
    own = shutil.copytree(model, tmp_path / "model")
    kept = own / "calibration.json"
    first = run(str(own), tmp_path / "first", source, calibrate=f"{tmp_path}/data")
    written = kept.stat().st_mtime_ns
    assert json.loads(kept.read_text())["dataset"] == sha256(f"{tmp_path}/data/manifest.json")
    later = run(str(own), tmp_path / "later", source)
    again = run(str(own), tmp_path / "again", source, calibrate=f"{tmp_path}/data")
    assert first.calibration == later.calibration == again.calibration is not None
    assert annotated(tmp_path / "first") == annotated(tmp_path / "later")
    assert kept.stat().st_mtime_ns == written  # the same data: nothing is fitted again
    kept.write_text(kept.read_text().replace(model_hash(str(own)), "0" * 64))
    assert run(str(own), tmp_path / "replaced", source).calibration is None
    assert "calibration.json: is of another model, and is not used" in caplog.text
    kept.write_text("{}")
    with pytest.raises(DataError, match=r"calibration\.json: not a calibration .*delete it"):
        run(str(own), tmp_path / "damaged", source)


def test_the_command_writes_polygons_and_calibrated_scores(model: str, tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data", random_world(3, 70, NAMES)[0], NAMES)
    source = write_boxes(tmp_path, [annotation(1), annotation(2, 2)])
    own = str(shutil.copytree(model, tmp_path / "model"))
    words = ["--polygons", "--tolerance", "3", "--calibrate", data]
    main(["annotate", own, "--source", source, "--out", f"{tmp_path}/command", *words])
    run(model, tmp_path / "library", source, tolerance=3.0)
    for written, expected in zip(annotated(tmp_path / "command"), annotated(tmp_path / "library"), strict=True):
        assert written["segmentation"] == expected["segmentation"]
        assert written["score"] != expected["score"]  # which is not calibrated


def test_a_folder_that_takes_no_calibration_is_told(caplog: pytest.LogCaptureFixture) -> None:
    keep_calibration("/proc/self", KeptCalibration("a", "b", Calibration((0.0,), (0.0,), 50)))
    assert "/proc/self/calibration.json: cannot be written" in caplog.text
