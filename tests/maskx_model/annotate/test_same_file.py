"""The same file comes out, whoever makes it and however often it is interrupted; a finished one is kept."""

import sys
from pathlib import Path

import msgspec
import pytest

from data_prep.beam.engine import Engine
from data_prep.storage.errors import ConfigError
from maskx_model.annotate.summary import read_summary
from maskx_model.annotate.work import part_files, read_part
from tests.maskx_model.annotate.small_boxes import annotation, write_boxes
from tests.maskx_model.annotate.small_runs import annotated, run
from tests.processes import kill_when


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
    kill_when(command, part_files(str(out)).finished)
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
    with pytest.raises(ConfigError, match=r"holds a run that differs in replace, tolerance"):
        run(model, tmp_path / "out", source, tolerance=1.0, replace="all")
    with pytest.raises(ConfigError, match=r"boxes\.json is the file to annotate"):
        run(model, tmp_path, source)


def test_a_finished_run_on_other_images_is_not_returned(model: str, tmp_path: Path) -> None:
    """A wrong folder that was put right, and a missing file that has come, are told of."""
    source = write_boxes(tmp_path, [annotation(1), annotation(2, 2)])
    (tmp_path / "empty").mkdir()
    wrong = f"mine=coco:{tmp_path}/boxes.json,{tmp_path}/empty"
    assert run(model, tmp_path / "wrong", wrong).outcomes == {"no_image": 2}
    with pytest.raises(ConfigError, match="holds a run that differs in images; choose another folder, or delete"):
        run(model, tmp_path / "wrong", source)
    (tmp_path / "images/2.png").rename(tmp_path / "away.png")
    assert run(model, tmp_path / "missing", source).outcomes == {"segmented": 1, "no_image": 1}
    (tmp_path / "away.png").rename(tmp_path / "images/2.png")
    with pytest.raises(ConfigError, match="differs in images"):
        run(model, tmp_path / "missing", source)
