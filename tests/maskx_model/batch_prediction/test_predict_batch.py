"""Batch prediction: what `maskx predict` finds, in files for any number of images, from any engine."""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pycocotools.coco import COCO

from data_prep.beam.engine import Engine
from data_prep.format.reader import Dataset
from data_prep.storage.errors import CheckpointError, ConfigError, DataError
from maskx_model.batch_prediction import join
from maskx_model.batch_prediction.manifest import Manifest, describe
from maskx_model.batch_prediction.options import BatchOptions
from maskx_model.batch_prediction.plan import PART, Plan, part_files, write_plan
from maskx_model.batch_prediction.predict_batch import predict_batch
from maskx_model.batch_prediction.rows import SCHEMA
from maskx_model.batch_prediction.work import ReadImages
from maskx_model.inference.predict_files import PredictOptions, predict_files
from maskx_model.inference.segmenter import Segmenter
from maskx_model.results.coco_results import category_ids, to_results
from tests.maskx_model.annotate.small_boxes import png
from tests.maskx_model.batch_prediction.small_images import NAMES, contents, table_of, write_images
from tests.maskx_model.synthetic import random_world
from tests.maskx_model.synthetic_dataset import write_dataset, write_model
from tests.processes import kill_when

SIZES = ((80, 60), (60, 80), (80, 60))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_model(tmp_path_factory.mktemp("models") / "transfer", NAMES, "transfer")


def run(model: str, out: Path, *inputs: str, **options: Any) -> Manifest:
    return predict_batch(BatchOptions(model, str(out), inputs, **options))


@pytest.mark.parametrize("batch", [1, 4])
def test_results_are_those_of_predict_to_the_byte(model: str, tmp_path: Path, batch: int) -> None:
    photos = write_images(tmp_path / "photos", 6, SIZES)
    run(model, tmp_path / "batch", photos, batch=batch)
    predict_files(model, [photos], f"{tmp_path}/files", PredictOptions(batch=batch))
    found, expected = ((tmp_path / name / "results.json").read_bytes() for name in ("batch", "files"))
    assert found == expected
    images, with_overlays = (json.loads((tmp_path / n / "images.json").read_text()) for n in ("batch", "files"))
    assert images["categories"] == with_overlays["categories"]
    assert images["images"] == [{k: v for k, v in each.items() if k != "overlay"} for each in with_overlays["images"]]


def test_results_that_are_not_maskxs_are_not_replaced(model: str, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/results.json").write_text("[1]")
    with pytest.raises(ConfigError, match=r"results\.json is no earlier run's.*choose another folder"):
        run(model, tmp_path / "out", write_images(tmp_path / "photos", 1, SIZES))
    assert (tmp_path / "out/results.json").read_text() == "[1]"


def test_the_table_says_the_same_as_the_results_with_synsets(model: str, tmp_path: Path) -> None:
    manifest = run(model, tmp_path / "out", write_images(tmp_path / "photos", 3, SIZES))
    results = COCO(f"{tmp_path}/out/images.json").loadRes(f"{tmp_path}/out/results.json")
    synsets = {each["id"]: each["synset"] for each in results.loadCats(results.getCatIds())}
    rows = table_of(tmp_path / "out").to_pylist()
    assert [(row["image_id"], row["width"], row["height"], row["error"]) for row in rows] == [
        (1, 80, 60, None),
        (2, 60, 80, None),
        (3, 80, 60, None),
    ]
    for row in rows:
        listed = results.loadAnns(results.getAnnIds(imgIds=[row["image_id"]]))
        assert len(listed) == len(row["objects"]) > 0
        for result, thing in zip(listed, row["objects"], strict=True):
            assert all(result[name] == thing[name] for name in ("category_id", "bbox", "score"))
            assert result["segmentation"]["counts"] == thing["segmentation"]
            assert thing["synset"] == synsets[thing["category_id"]]
    assert manifest.objects == sum(len(row["objects"]) for row in rows)


def test_the_manifest_names_every_file_with_its_hash(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(join, "PARTS_OF_SHARD", 1)
    manifest = run(model, tmp_path / "out", write_images(tmp_path / "photos", PART + 1))
    assert [(shard.name, shard.images) for shard in manifest.shards] == [
        ("predictions-000000.parquet", PART),
        ("predictions-000001.parquet", 1),
    ]
    for shard in manifest.shards:
        data = (tmp_path / "out" / shard.name).read_bytes()
        assert (shard.bytes, shard.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert table_of(tmp_path / "out")["image_id"].to_pylist() == list(range(1, PART + 2))
    assert set(contents(tmp_path / "out")) == {
        *(shard.name for shard in manifest.shards),
        "images.json",
        "manifest.json",
        "results.json",
    }


def test_a_datasets_images_are_predicted_on_by_their_keys(model: str, tmp_path: Path) -> None:
    records = random_world(0, 5, NAMES)[0]
    upright = [msgspec.structs.replace(records[0], upright=True), *records[1:]]
    write_dataset(tmp_path / "data", upright, NAMES)
    run(model, tmp_path / "out", dataset=f"{tmp_path}/data", split="val")
    run(model, tmp_path / "all", dataset=f"{tmp_path}/data")
    data, segmenter = Dataset.open(f"{tmp_path}/data"), Segmenter.load(model)
    categories = category_ids(segmenter.vocabulary)
    expected = [
        result
        for number, row in enumerate(data.rows, 1)
        for result in to_results(number, segmenter.segment(data.pixels(row)), categories)
    ]
    assert json.loads((tmp_path / "out/results.json").read_text()) == expected
    assert table_of(tmp_path / "out")["file_name"].to_pylist() == [f"{row.key}.jpg" for row in data.rows]
    assert (tmp_path / "all/results.json").read_bytes() == (tmp_path / "out/results.json").read_bytes()
    with pytest.raises(DataError, match=r"split 'train' has no image; the dataset has split 'val'"):
        run(model, tmp_path / "other", dataset=f"{tmp_path}/data", split="train")


def test_unreadable_images_are_counted_and_refused_where_there_are_many(model: str, tmp_path: Path) -> None:
    photos = write_images(tmp_path / "photos", 5)
    for name, data in (("bad.png", png(9)[:100]), ("empty.jpg", b"")):
        (tmp_path / "photos" / name).write_bytes(data)
    with pytest.raises(DataError, match=r"2 of 7 .*bad\.png.*empty\.jpg.*--max-rejected .* and choose another --out"):
        run(model, tmp_path / "out", photos)
    assert not {"results.json", "manifest.json"} & set(contents(tmp_path / "out"))
    manifest = run(model, tmp_path / "out", photos, max_rejected=0.5)
    assert (manifest.images, manifest.rejected) == (7, 2)
    assert "bad.png: not a readable image" in manifest.problems[0]
    rows = table_of(tmp_path / "out").to_pylist()
    assert [row["file_name"].rpartition("/")[2] for row in rows if row["error"] is not None] == ["bad.png", "empty.jpg"]
    assert all((row["objects"] is None) == (row["error"] is not None) for row in rows)
    listed = json.loads((tmp_path / "out/images.json").read_text())["images"]
    assert [each["id"] for each in listed] == [row["image_id"] for row in rows if row["error"] is None]
    assert "2 images could not be read" in "\n".join(describe(manifest, "out"))


@pytest.mark.slow
def test_the_bytes_do_not_depend_on_the_workers(model: str, tmp_path: Path) -> None:
    photos = write_images(tmp_path / "photos", 2 * PART + 5, SIZES)
    for workers in (1, 2):
        run(model, tmp_path / f"{workers}", photos, engine=Engine(workers=workers), batch=3)
    one, two = (contents(tmp_path / f"{workers}") for workers in (1, 2))
    assert one == two


@pytest.mark.slow
def test_a_killed_run_goes_on_and_gives_the_same(model: str, tmp_path: Path) -> None:
    photos = write_images(tmp_path / "photos", 4 * PART)
    out = tmp_path / "out"
    command = [sys.executable, "-m", "pipelines.cli", "predict-batch", model, photos, "--out", str(out)]
    files = part_files(str(out))
    kill_when(command, files.finished)
    assert not (out / "manifest.json").exists()
    kept = min(files.finished())
    rows = pq.read_table(files.uri(kept)).to_pylist()
    rows[0]["objects"] = []
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA), files.uri(kept))
    run(model, out, photos)
    run(model, tmp_path / "whole", photos)
    resumed, whole = (table_of(each).to_pylist() for each in (out, tmp_path / "whole"))
    without = [i for i, (one, other) in enumerate(zip(resumed, whole, strict=True)) if one != other]
    assert without == [kept * PART]  # the finished part was used as it was, the others are the same


def test_a_finished_run_is_not_made_twice_nor_overwritten_by_another(model: str, tmp_path: Path) -> None:
    photos = write_images(tmp_path / "photos", 2)
    first = run(model, tmp_path / "out", photos)
    before = (tmp_path / "out/results.json").stat().st_mtime_ns
    assert run(model, tmp_path / "out", photos) == first
    assert (tmp_path / "out/results.json").stat().st_mtime_ns == before
    with pytest.raises(ConfigError, match=r"holds a run that differs in batch;"):
        run(model, tmp_path / "out", photos, batch=2)
    (tmp_path / "photos/new.png").write_bytes(png(3))
    with pytest.raises(ConfigError, match=r"holds a run that differs in images;"):
        run(model, tmp_path / "out", photos)


def test_predictions_below_the_folder_of_images_are_not_taken_for_images(model: str, tmp_path: Path) -> None:
    photos = write_images(tmp_path / "photos", 2)
    assert run(model, tmp_path / "photos/out", photos).images == 2
    assert run(model, tmp_path / "photos/out", photos).images == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "name what to predict on"),
        ({"inputs": ("/a",), "dataset": "/d"}, "name what to predict on"),
        ({"inputs": ("/a",), "split": "val"}, "--split val: is that of a dataset"),
        ({"inputs": ("/a",), "batch": 0}, "--batch 0"),
        ({"inputs": ("/a",), "max_rejected": 2.0}, "--max-rejected 2.0"),
        ({"inputs": ("photos",), "engine": Engine("FlinkRunner")}, "give photos as a whole path"),
        ({"dataset": "data", "engine": Engine("FlinkRunner")}, "give data as a whole path"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        BatchOptions("/model", "s3://bucket/out", **options)


def test_what_cannot_be_predicted_is_said_before_anything_is_written(model: str, tmp_path: Path) -> None:
    photos = write_images(tmp_path / "photos", 1)
    detector = write_model(tmp_path / "detector", NAMES, None)
    out = tmp_path / "out"
    with pytest.raises(CheckpointError, match="a detector without masks"):
        run(detector, out, photos)
    with pytest.raises(CheckpointError, match=r"no manifest\.json"):
        run(f"{tmp_path}/nowhere", out, photos)
    with pytest.raises(DataError, match=r"missing: no such file or folder"):
        run(model, out, f"{tmp_path}/missing")
    with pytest.raises(DataError, match=r"no manifest\.json"):
        run(model, out, dataset=photos)
    assert not out.exists()
    with pytest.raises(DataError, match="not the manifest of predictions"):
        run(model, Path(model), photos)


def test_an_image_that_went_missing_since_it_was_listed_is_unreadable(tmp_path: Path) -> None:
    write_plan(str(tmp_path), Plan({}, 1, [f"{tmp_path}/gone.png"], None, None))
    (image,) = ReadImages(str(tmp_path))(0)
    assert isinstance(image.read, str)
    assert "gone.png" in image.read
