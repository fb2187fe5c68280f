"""All of it once, on as many images as the real data sets have: prepared through a kill, verified, shown."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from data_prep.format.reader import Dataset
from tests.processes import REPOSITORY, kill_when
from tests.scale.small_images import GENOME, TRAIN, VAL, Expected, write_small_images

pytestmark = [pytest.mark.scale, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """For a quarter of a million files, which are not to be kept as pytest keeps its folders."""
    with tempfile.TemporaryDirectory(prefix="maskx-scale-") as path:
        yield Path(path)


@pytest.fixture(scope="module")
def expected(folder: Path, real_sample: Path) -> Expected:
    """`coco/` and `visual_genome/` in the folder, and what must come of them."""
    return write_small_images(real_sample, folder)


def command(*words: str) -> list[str]:
    """`maskx data …`."""
    return [sys.executable, "-m", "pipelines.cli", "data", *words]


def environment(folder: Path) -> dict[str, str]:
    """With it a command runs in the folder and keeps its scratch there."""
    return {"PYTHONPATH": str(REPOSITORY), "MASKX_SCRATCH": f"{folder}/scratch"}


def output(folder: Path, *words: str) -> str:
    done = subprocess.run(
        command(*words),
        cwd=folder,
        env=os.environ | environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def finished(dataset: Path) -> list[Path]:
    """The shards of an unfinished dataset that are whole and have their result beside the plan."""
    results = (dataset / ".prepare/shards").glob("*/*.tar.json")
    return [dataset / result.parent.name / result.stem for result in results]


PREPARE = (
    *("prepare", "--source", "coco=coco:coco", "--source", "vg=vg:visual_genome"),
    *("--classes", "300", "--workers", "2", "--out", "dataset"),
)


@pytest.fixture(scope="module")
def prepared(folder: Path, expected: Expected) -> tuple[Path, dict[Path, int], str]:
    """The dataset, the shards that a first run left when it was killed with their times, and what prepare printed."""
    dataset = folder / "dataset"
    kill_when(command(*PREPARE), lambda: len(finished(dataset)) >= 4, 600, folder, **environment(folder))
    assert not (dataset / "manifest.json").exists()
    left = {path: path.stat().st_mtime_ns for path in finished(dataset)}
    return dataset, left, output(folder, *PREPARE)


def test_nothing_is_lost(expected: Expected, prepared: tuple[Path, dict[Path, int], str]) -> None:
    manifest = Dataset.open(str(prepared[0])).manifest
    counts = {(split, part): own for split, parts in manifest.counts.items() for part, own in parts.items()}
    assert {cell: own["photographs"] for cell, own in counts.items()} == expected.images
    for source, objects in expected.objects.items():
        assert sum(own.get(f"{source}_objects", 0) for own in counts.values()) == objects
        assert manifest.rejected[source]["unreadable"] == expected.unreadable[source]
    assert manifest.left_out["vg"]["no_synset"] == expected.no_synset
    assert manifest.rejected["vg"]["zero_size"] == expected.zero_size
    copies = manifest.left_out["vg"]["copy_rejected"] + sum(
        own["photographs"] for (_, part), own in counts.items() if part == "coco+vg"
    )
    images = sum(expected.images.values()) + sum(expected.unreadable.values())
    assert images + copies == TRAIN + VAL + GENOME == 226_000


def test_what_the_killed_run_had_finished_is_kept(prepared: tuple[Path, dict[Path, int], str]) -> None:
    _, left, _ = prepared
    assert len(left) >= 4
    assert {path: path.stat().st_mtime_ns for path in left} == left


def test_it_is_whole_and_a_third_run_finds_it_finished(
    folder: Path, prepared: tuple[Path, dict[Path, int], str]
) -> None:
    assert output(folder, "verify", "dataset") == "dataset: whole\n"
    manifest = (prepared[0] / "manifest.json").read_bytes()
    assert output(folder, *PREPARE) == prepared[2]
    assert (prepared[0] / "manifest.json").read_bytes() == manifest


def test_it_can_be_looked_at(folder: Path, expected: Expected, prepared: tuple[Path, dict[Path, int], str]) -> None:
    shown = output(folder, "show", "dataset")
    assert all(f"{count:,}" in shown for count in expected.images.values())
    assert '"vg-0000400000"' in output(folder, "show", "dataset", "--key", "vg-0000400000")
    assert output(folder, "browse", "dataset", "--samples", "1").strip() == f"{folder}/dataset.html"
    page = (folder / "dataset.html").read_text(encoding="utf-8")
    assert all(f"{count:,}" in page for count in expected.images.values())
