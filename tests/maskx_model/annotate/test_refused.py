"""What cannot be annotated is refused before anything is written."""

from pathlib import Path
from typing import Any

import pytest

from data_prep.beam.engine import Engine
from data_prep.storage.errors import CheckpointError, ConfigError, DataError
from maskx_model.annotate.annotate import AnnotateOptions
from tests.maskx_model.annotate.small_boxes import NAMES, annotation, write_boxes
from tests.maskx_model.annotate.small_runs import run
from tests.maskx_model.synthetic import random_world
from tests.maskx_model.synthetic_dataset import write_dataset, write_model


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "name what to annotate"),
        ({"source": "a=coco:b,c", "dataset": "d", "source_name": "coco"}, "name what to annotate"),
        ({"dataset": "d", "source_name": "coco", "exif": "apply"}, "--exif: is for --source"),
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


@pytest.mark.parametrize(
    ("bbox", "words"),
    [([100, 80, 150, 110], "look like x1 y1 x2 y2"), ([0.3, 0.3, 0.4, 0.4], "look like fractions of the image")],
)
def test_boxes_that_prepare_refuses_are_refused(bbox: list[float], words: str, model: str, tmp_path: Path) -> None:
    source = write_boxes(tmp_path, [annotation(number, bbox=bbox) for number in range(10)])
    with pytest.raises(DataError, match=words):
        run(model, tmp_path / "out", source)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["boxes.json", "page.html"])
def test_files_that_no_run_wrote_are_not_replaced(model: str, tmp_path: Path, name: str) -> None:
    source = write_boxes(tmp_path / "in", [annotation(1)])
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text("years of work")
    with pytest.raises(ConfigError, match=f"out/{name} is no earlier run's"):
        run(model, tmp_path / "out", source)
    assert [path.name for path in (tmp_path / "out").iterdir()] == [name]
    assert (tmp_path / "out" / name).read_text() == "years of work"


@pytest.mark.parametrize("name", ["summary.json", "page.html"])
def test_a_file_of_a_name_that_every_run_writes_is_refused(model: str, tmp_path: Path, name: str) -> None:
    source = write_boxes(tmp_path / "in", [annotation(1)])
    (tmp_path / "in/boxes.json").rename(tmp_path / "in" / name)
    with pytest.raises(ConfigError, match=f"{name}: --out has a file of the same name about the run; rename"):
        run(model, tmp_path / "out", source.replace("boxes.json", name))
    assert not (tmp_path / "out").exists()


def test_a_file_that_has_a_prepared_datasets_name_is_not_replaced(model: str, tmp_path: Path) -> None:
    write_dataset(tmp_path / "data", random_world(0, 2, NAMES)[0], NAMES)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/coco-val.json").write_text("years of work")
    with pytest.raises(ConfigError, match=r"out/coco-val\.json is no earlier run's"):
        run(model, tmp_path / "out", dataset=f"{tmp_path}/data", split="val", source_name="coco")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["coco-val.json"]
