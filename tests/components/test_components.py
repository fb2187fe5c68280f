"""Components are thin: an interface, and one call of the library."""

import ast
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components import estimate, evaluate, prepare, register, sources, train_detector, train_masks
from components.image import IMAGE
from data_prep.format.manifest import read_manifest
from tests.data_prep.small_sources import coco_image, coco_object, write_coco

COMPONENTS: dict[str, Any] = {
    "estimate": estimate.estimate,
    "evaluate": evaluate.evaluate,
    "prepare": prepare.prepare,
    "register": register.register,
    "sources": sources.sources,
    "train_detector": train_detector.train_detector,
    "train_masks": train_masks.train_masks,
}


def function(name: str) -> Callable[..., Any]:
    """The component's body as a plain function."""
    body: Callable[..., Any] = COMPONENTS[name].python_func
    return body


def test_every_component_file_is_tried_here() -> None:
    folder = Path(__file__).parents[2] / "components"
    assert {path.stem for path in folder.glob("*.py")} - {"__init__", "image"} == set(COMPONENTS)


@pytest.mark.parametrize("name", COMPONENTS)
def test_a_component_runs_in_our_image_and_installs_nothing(name: str) -> None:
    container = COMPONENTS[name].component_spec.implementation.container
    assert container.image == IMAGE
    assert "pip" not in " ".join(container.command[:-1])


@pytest.mark.parametrize("name", COMPONENTS)
def test_a_component_documents_every_argument(name: str) -> None:
    documentation = inspect.getdoc(function(name)) or ""
    arguments = documentation.partition("Args:")[2].partition("Returns:")[0]
    assert all(f"    {parameter}: " in arguments for parameter in inspect.signature(function(name)).parameters)


@pytest.mark.parametrize("name", COMPONENTS)
def test_a_component_imports_inside_and_stays_thin(name: str) -> None:
    tree = ast.parse(inspect.getsource(function(name)))
    body = tree.body[0]
    assert isinstance(body, ast.FunctionDef)
    statements = [node for node in ast.walk(body) if isinstance(node, ast.stmt)]
    assert len(statements) <= 15
    assert any(isinstance(node, ast.ImportFrom) for node in body.body)


@pytest.mark.parametrize("name", COMPONENTS)
def test_a_component_shows_what_the_libraries_log(name: str) -> None:
    body = ast.parse(inspect.getsource(function(name))).body[0]
    assert isinstance(body, ast.FunctionDef)
    first = next(node for node in body.body[1:] if not isinstance(node, ast.ImportFrom))
    assert ast.unparse(first) == "show_log()"


def test_given_sources_are_passed_on(tmp_path: Path) -> None:
    (tmp_path / "coco").mkdir()
    given = [f"coco=coco:{tmp_path}/coco,{tmp_path}/coco"]
    assert function("sources")(given, "toy", "", [], str(tmp_path / "toy"), "", "maskx") == given
    assert [path.name for path in tmp_path.iterdir()] == ["coco"]


def test_the_exif_rule_reaches_the_dataset(tmp_path: Path) -> None:
    write_coco(tmp_path / "mine", [coco_image(1)], [coco_object(1, 1)])
    out = f"{tmp_path}/dataset"
    assert function("prepare")([f"mine=coco:{tmp_path}/mine"], out, "toy", "", [], classes=0, exif="ignore") == out
    assert read_manifest(out).parameters["exif"] == "ignore"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"preset": "huge"}, "preset 'huge' does not exist"),
        ({"config": "nowhere.yaml"}, "nowhere.yaml"),
        ({"overrides": ["stage1.stpes=3"]}, "do you mean stage1.steps"),
        ({"overrides": ["mask.kind=class_specific"]}, "the pipeline trains kind transfer, without a file of word vec"),
        ({"overrides": ["mask_classes=vox"]}, "mask classes 'vox': neither voc"),
        ({"mask_classes": "vox"}, "mask classes 'vox': neither voc"),
        ({"mask_classes": "random:20"}, "write random:N:seed"),
        ({"given": ["coco=yolo:here"]}, "yolo"),
        ({"seed": -1}, "seed: a number from 0 is needed, got -1"),
        ({"max_rejected": 2.0}, "must be a fraction, from 0 to 1"),
        ({"exif": "upright"}, "exif 'upright': is none of auto, apply, ignore"),
        ({"classes": -3}, "must be at least 1"),
        ({"registered_name": "team/maskx"}, "name 'team/maskx': use letters"),
    ],
)
def test_what_no_retry_can_mend_fails_in_the_first_step(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    given = [f"coco=coco:{tmp_path},{tmp_path}"]
    good = {
        "given": given,
        "preset": "toy",
        "config": "",
        "overrides": [],
        "toy_world": str(tmp_path),
        "mask_classes": "",
        "registered_name": "maskx",
    }
    with pytest.raises(Exception, match=message):
        function("sources")(**{**good, **change})


def test_a_preset_without_a_toy_world_asks_for_sources(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="no sources: name the original data"):
        function("sources")([], "coco_r50", "", [], str(tmp_path / "toy"), "", "maskx")
