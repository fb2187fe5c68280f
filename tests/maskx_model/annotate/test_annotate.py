"""From files with boxes to files with masks."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from data_prep.beam.engine import Engine
from data_prep.format.reader import Dataset
from data_prep.format.rle import mask_area
from data_prep.prepare.options import PrepareOptions
from data_prep.prepare.prepare import prepare
from data_prep.storage.errors import CheckpointError, ConfigError, DataError
from data_prep.storage.storage import sha256
from maskx_model.annotate.annotate import AnnotateOptions, annotate
from maskx_model.annotate.calibration import Calibration
from maskx_model.annotate.kept_calibration import KeptCalibration, keep_calibration
from maskx_model.annotate.segment import clipped
from maskx_model.annotate.summary import Summary, describe, read_summary
from maskx_model.annotate.work import part_files, read_part
from maskx_model.artifacts.model_folder import model_hash
from maskx_model.evaluation.ground_truth import GroundTruth
from maskx_model.evaluation.predictions import predict
from maskx_model.inference.segmenter import Segmenter
from tests.maskx_model.annotate.small_boxes import CATEGORIES, MASK, NAMES, annotation, png, write_boxes
from tests.maskx_model.killing import REPOSITORY
from tests.maskx_model.synthetic import random_world
from tests.maskx_model.synthetic_dataset import write_dataset, write_model

ADDED = {"segmentation", "score", "provenance"}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_model(tmp_path_factory.mktemp("models") / "transfer", NAMES, "transfer")


def run(model: str, out: Path, source: str | None = None, **options: Any) -> Summary:
    return annotate(AnnotateOptions(model, str(out), source, **options))


def annotated(out: Path, name: str = "boxes.json") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((out / name).read_text())["annotations"]
    return found


MIXED = [
    annotation(1),
    annotation(2, 2, category_id=7, attributes={"occluded": None}),
    annotation(3, segmentation=[]),
    annotation(4, segmentation=MASK, note="drawn by hand"),
    annotation(5, category_id=9),
    annotation(6, iscrowd=1),
    annotation(7, bbox=[0, 0, 0, 5]),
    annotation(8, bbox=[500, 500, 5, 5]),
    annotation(9, 77),
    annotation(10, category_id=11),
    annotation(11, 3),
]


def test_boxes_of_known_classes_get_masks_and_all_else_stays(model: str, tmp_path: Path) -> None:
    source = write_boxes(tmp_path, MIXED, images=3)
    (tmp_path / "images/3.png").write_bytes(png(3)[:100])
    summary = run(model, tmp_path / "out", source)
    assert summary.files == {"boxes.json": len(MIXED)}
    left = {"has_a_mask": 1, "crowd": 1, "unknown_class": 2, "no_box": 2, "no_image": 2}
    assert summary.outcomes == {"segmented": 3, **left}
    assert summary.unknown_classes == {"elk": 1, "id 11": 1}
    assert any("3.png: not a readable image" in problem for problem in summary.problems)
    before, after = (json.loads((tmp_path / path).read_text()) for path in ("boxes.json", "out/boxes.json"))
    assert {k: v for k, v in after.items() if k != "annotations"} == {
        k: v for k, v in before.items() if k != "annotations"
    }
    for given, found in zip(before["annotations"], after["annotations"], strict=True):
        if given["id"] > 3:
            assert found == given
            continue
        assert {k: v for k, v in found.items() if k not in ADDED} == {k: v for k, v in given.items() if k not in ADDED}
        assert 0 < found["score"] < 1
        assert found["provenance"]["made_by"] == "maskx annotate"
        assert found["provenance"]["model"].endswith("/transfer")
    read = COCO(str(tmp_path / "out/boxes.json"))
    assert read.annToMask(read.loadAnns([1])[0])[15:65, 20:81].any()
    assert not (tmp_path / "out/.annotate").exists()
    assert "elk 1" in describe(summary, "out")


def test_the_bytes_between_annotations_stay(model: str, tmp_path: Path) -> None:
    source = write_boxes(tmp_path, [annotation(1, category_id=9, note="é"), annotation(2, 2, category_id=9)])
    run(model, tmp_path / "out", source)
    assert (tmp_path / "out/boxes.json").read_bytes() == (tmp_path / "boxes.json").read_bytes()


def test_masks_are_those_of_evaluation_on_ground_truth_boxes(model: str, tmp_path: Path) -> None:
    records, _ = random_world(0, 12, NAMES)
    write_dataset(tmp_path / "data", records, NAMES)
    run(model, tmp_path / "out", dataset=f"{tmp_path}/data", split="val", source_name="coco", replace="all")
    data, segmenter = Dataset.open(f"{tmp_path}/data"), Segmenter.load(model)
    labels = {name: at for at, name in enumerate(NAMES)}
    made = {each["id"]: each["segmentation"] for each in annotated(tmp_path / "out", "coco-val.json")}
    for row in data.rows:
        truth = GroundTruth.of(data.read_record(row), "coco", labels)
        (given,) = predict([(data.pixels(row), truth)], {"m": segmenter.model})["m"].on_ground_truth_boxes
        real = [thing for thing in truth.objects if not thing.iscrowd]
        for thing, mask in zip(real, given.masks, strict=True):
            if mask_area(mask):
                assert made[thing.id]["counts"] == mask.counts


def test_a_prepared_dataset_comes_back_as_a_coco_file(model: str, tmp_path: Path) -> None:
    records, _ = random_world(1, 6, [*NAMES, "rare thing"])
    write_dataset(tmp_path / "data", records, [*NAMES, "rare thing"])
    options = {"dataset": f"{tmp_path}/data", "split": "val", "source_name": "coco"}
    summary = run(model, tmp_path / "out", **options)
    objects = [o for r in records for o in r.objects["coco"]]
    assert summary.outcomes == {"has_a_mask": len(objects)}
    found = annotated(tmp_path / "out", "coco-val.json")
    assert [(a["id"], tuple(a["bbox"]), a["segmentation"]["counts"]) for a in found] == [
        (o.id, o.bbox, o.mask.counts if o.mask else "") for o in objects
    ]
    with pytest.raises(DataError, match=r"no split 'train' of source 'coco'; it has val of coco"):
        run(model, tmp_path / "other", **{**options, "split": "train"})


def test_ids_of_a_prepared_dataset_are_those_of_its_files(model: str, tmp_path: Path) -> None:
    (record,), _ = random_world(1, 1, NAMES)
    things = [msgspec.structs.replace(o, original_id=f"a-{o.id}") for o in record.objects["coco"]]
    named = msgspec.structs.replace(record, objects={"coco": things}, original_ids={"coco": "photo 1"})
    write_dataset(tmp_path / "data", [named], NAMES)
    run(model, tmp_path / "out", dataset=f"{tmp_path}/data", split="val", source_name="coco", replace="all")
    found = annotated(tmp_path / "out", "coco-val.json")
    assert {(a["id"], a["image_id"]) for a in found} == {(thing.original_id, "photo 1") for thing in things}
    assert any("provenance" in a for a in found)


def test_drawn_masks_are_replaced_only_when_asked_and_made_ones_apart(model: str, tmp_path: Path) -> None:
    drawn, made = annotation(1, segmentation=MASK), annotation(2, segmentation=MASK, provenance={"made_by": "sam"})
    source = write_boxes(tmp_path, [drawn, made])
    expected: Mapping[str, tuple[bool, bool]] = {"none": (False, False), "made": (False, True), "all": (True, True)}
    for replace, changed in expected.items():
        run(model, tmp_path / replace, source, replace=replace)
        assert tuple(a["segmentation"] != MASK for a in annotated(tmp_path / replace)) == changed


def test_polygons_are_written_where_asked(model: str, tmp_path: Path) -> None:
    source = write_boxes(tmp_path, [annotation(1), annotation(2, 2)])
    run(model, tmp_path / "rle", source)
    run(model, tmp_path / "polygons", source, tolerance=0.0)
    rle, polygons = (COCO(str(tmp_path / kind / "boxes.json")) for kind in ("rle", "polygons"))
    for one, other in zip(rle.loadAnns([1, 2]), polygons.loadAnns([1, 2]), strict=True):
        assert isinstance(other["segmentation"], list)
        mask, drawn = rle.annToMask(one), polygons.annToMask(other)
        assert (drawn >= mask).all()  # holes are filled


def test_an_image_is_read_upright_where_only_that_fits(model: str, tmp_path: Path) -> None:
    source = write_boxes(tmp_path, [annotation(1), annotation(2, 2)])
    upright = Image.open(tmp_path / "images/1.png").convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6
    upright.rotate(90, expand=True).save(tmp_path / "images/1.png", exif=exif)
    Image.new("RGB", (50, 40)).save(tmp_path / "images/2.png")
    summary = run(model, tmp_path / "turned", source)
    assert summary.outcomes == {"segmented": 1, "no_image": 1}
    assert "50×40 pixels, listed as 160×120" in summary.problems[0]
    write_boxes(tmp_path, [annotation(1), annotation(2, 2)])
    run(model, tmp_path / "stored", source)
    assert annotated(tmp_path / "turned")[0]["segmentation"] == annotated(tmp_path / "stored")[0]["segmentation"]


def test_a_datasets_upright_images_are_read_upright(model: str, tmp_path: Path) -> None:
    """Of a square image its size does not tell; the record does."""
    source = write_boxes(tmp_path, [annotation(3)], images=1)
    square = png(1, 120, 120)
    document = json.loads((tmp_path / "boxes.json").read_text())
    document["images"][0]["width"] = 120
    (tmp_path / "boxes.json").write_text(json.dumps(document))
    (tmp_path / "images/1.png").write_bytes(square)
    run(model, tmp_path / "plain", source)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(tmp_path / "images/1.png").rotate(90, expand=True).save(tmp_path / "images/1.png", exif=exif)
    prepare(PrepareOptions((source,), f"{tmp_path}/data", exif="apply"))
    run(model, tmp_path / "turned", dataset=f"{tmp_path}/data", split="train", source_name="mine")
    (plain,), (turned,) = annotated(tmp_path / "plain"), annotated(tmp_path / "turned", "mine-train.json")
    assert turned["segmentation"] == plain["segmentation"]


def test_a_name_that_a_rule_finds_is_found(model: str, tmp_path: Path) -> None:
    source = write_boxes(tmp_path, [annotation(3)], images=1)
    (tmp_path / "images/1.png").rename(tmp_path / "images/1.PNG")
    assert run(model, tmp_path / "out", source).outcomes == {"segmented": 1}


def test_a_size_that_is_not_listed_or_rounded_is_the_files(model: str, tmp_path: Path) -> None:
    source = write_boxes(tmp_path, [annotation(1), annotation(2, 2)])
    document = json.loads((tmp_path / "boxes.json").read_text())
    del document["images"][0]["width"]
    document["images"][1] |= {"width": "161", "height": 119.0}
    (tmp_path / "boxes.json").write_text(json.dumps(document))
    assert run(model, tmp_path / "out", source).outcomes == {"segmented": 2}
    assert [a["segmentation"]["size"] for a in annotated(tmp_path / "out")] == [[120, 160], [120, 160]]


@pytest.mark.slow
def test_workers_of_an_engine_make_the_same_file(model: str, tmp_path: Path) -> None:
    source = write_boxes(tmp_path, [annotation(i, i) for i in range(1, 7)], images=6)
    run(model, tmp_path / "alone", source)
    run(model, tmp_path / "workers", source, engine=Engine(workers=2))
    alone, workers = ((tmp_path / each / "boxes.json").read_bytes() for each in ("alone", "workers"))
    assert alone == workers


@pytest.mark.slow
def test_a_killed_run_goes_on_and_gives_the_same(model: str, tmp_path: Path) -> None:
    images = 160
    source = write_boxes(tmp_path, [annotation(i, i) for i in range(1, images + 1)], images=images)
    out = tmp_path / "out"
    command = [sys.executable, "-m", "pipelines.cli", "annotate", model, "--source", source, "--out", str(out)]
    process = subprocess.Popen(command, cwd=REPOSITORY, env=os.environ, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not part_files(str(out)).finished() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert read_summary(str(out)) is None
    kept = min(part_files(str(out)).finished())
    result = read_part(str(out), kept)
    doctored = msgspec.structs.replace(result, masks=result.masks[1:])
    Path(part_files(str(out)).uri(kept)).write_bytes(msgspec.json.encode(doctored))
    run(model, out, source)
    run(model, tmp_path / "whole", source)
    resumed, whole = annotated(out), annotated(tmp_path / "whole")
    without = [i for i, (one, other) in enumerate(zip(resumed, whole, strict=True)) if one != other]
    assert without == [result.masks[0].number]  # the finished part was used as it was, the others are the same


def test_a_finished_run_is_not_made_twice_nor_overwritten_by_another(model: str, tmp_path: Path) -> None:
    source = write_boxes(tmp_path, [annotation(1)])
    first = run(model, tmp_path / "out", source)
    before = (tmp_path / "out/boxes.json").stat().st_mtime_ns
    assert run(model, tmp_path / "out", source) == first
    assert (tmp_path / "out/boxes.json").stat().st_mtime_ns == before
    with pytest.raises(ConfigError, match=r"holds a run with another replace, tolerance"):
        run(model, tmp_path / "out", source, tolerance=1.0, replace="all")
    with pytest.raises(ConfigError, match=r"boxes\.json there is the file to annotate"):
        run(model, tmp_path, source)


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
    with pytest.raises(DataError, match=r"few: \d+ known masks"):
        run(own, tmp_path / "other", source, calibrate=f"{tmp_path}/few")


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


def test_a_folder_that_takes_no_calibration_is_told(caplog: pytest.LogCaptureFixture) -> None:
    keep_calibration("/proc/self", KeptCalibration("a", "b", Calibration((0.0,), (0.0,), 50)))
    assert "/proc/self/calibration.json: cannot be written" in caplog.text


def test_the_page_shows_examples_and_escapes_names(model: str, tmp_path: Path) -> None:
    categories = [*CATEGORIES, {"id": 12, "name": "<script>alert(1)</script>"}]
    source = write_boxes(tmp_path, [annotation(1), annotation(2, category_id=12)], categories=categories)
    run(model, tmp_path / "out", source)
    page = (tmp_path / "out/page.html").read_text()
    assert page.count("data:image/jpeg;base64") == 2  # the one mask, among the least sure and at random
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_an_annotated_file_is_a_source_whose_made_masks_are_marked(model: str, tmp_path: Path) -> None:
    write_boxes(tmp_path, [annotation(1, segmentation=MASK), annotation(2, 2)], categories=CATEGORIES[:2])
    run(model, tmp_path / "out", f"mine=coco:{tmp_path}/boxes.json,{tmp_path}/images")
    sources = (f"teacher=coco:{tmp_path}/out/boxes.json,{tmp_path}/images",)
    prepare(PrepareOptions(sources=sources, out=str(tmp_path / "data")))
    data = Dataset.open(f"{tmp_path}/data")
    objects = {o.id: o for row in data.rows for o in data.read_record(row).objects["teacher"]}
    assert (objects[1].provenance, objects[1].mask_score) == (None, None)
    assert str(objects[2].provenance).startswith("maskx annotate ")
    assert objects[2].mask_score == annotated(tmp_path / "out")[1]["score"]
    options: dict[str, Any] = {"dataset": data.uri, "source_name": "teacher"}
    assert run(model, tmp_path / "kept", **options).outcomes == {"has_a_mask": 2}
    assert run(model, tmp_path / "anew", **options, replace="made").outcomes == {"segmented": 1, "has_a_mask": 1}


def test_a_file_without_anything_to_segment_comes_back(model: str, tmp_path: Path) -> None:
    source = write_boxes(tmp_path, [])
    assert run(model, tmp_path / "out", source).outcomes == {}
    assert (tmp_path / "out/boxes.json").read_bytes() == (tmp_path / "boxes.json").read_bytes()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "name what to annotate"),
        ({"source": "a=coco:b,c", "dataset": "d", "source_name": "coco"}, "name what to annotate"),
        ({"dataset": "d"}, "--source-name NAME go together"),
        ({"source": "a=coco:b,c", "tolerance": -1.0}, "--tolerance -1.0"),
        ({"source": "a=coco:/b,c", "engine": Engine("FlinkRunner")}, "as a whole path"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        AnnotateOptions("model", "s3://bucket/out", **options)


def test_what_cannot_be_annotated_is_said_before_anything_is_written(model: str, tmp_path: Path) -> None:
    source = write_boxes(tmp_path, [annotation(1)])
    detector = write_model(tmp_path / "detector", NAMES, None)
    (tmp_path / "vg").mkdir()
    out = tmp_path / "out"
    with pytest.raises(CheckpointError, match="a detector without masks"):
        run(detector, out, source)
    with pytest.raises(CheckpointError, match=r"no manifest\.json"):
        run(f"{tmp_path}/nowhere", out, source)
    with pytest.raises(ConfigError, match="Visual Genome's files have no place for masks"):
        run(model, out, f"a=vg:{tmp_path}/vg")
    assert not out.exists()


def test_boxes_are_clipped_to_the_image() -> None:
    boxes, inside = clipped(np.array([[-5.0, 2, 10, 4], [95, 0, 20, 10], [100, 0, 5, 5]]), 100, 50)
    assert boxes.tolist() == [[0, 2, 5, 6], [95, 0, 100, 10], [100, 0, 100, 5]]
    assert inside.tolist() == [True, True, False]
