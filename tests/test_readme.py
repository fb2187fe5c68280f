"""What the READMEs tell users to type exists, and what it can run here runs."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from data_prep.toy_world import write_toy_world
from tests.maskx_model.synthetic_dataset import write_model
from tests.readme import ROOT, block, blocks, documents

PYTHON = ("data_prep", "maskx_model", "components", "pipelines")
MASKX = str(Path(sys.executable).parent / "maskx")
LINES = [
    line.removeprefix(".venv/bin/")
    for _, lines in blocks()
    for line in lines
    if line.startswith((".venv/bin/maskx ", "maskx ")) and "…" not in line
]


@pytest.mark.parametrize("line", LINES)
def test_every_option_of_a_readme_command_exists(line: str) -> None:
    words = shlex.split(line)[1:]
    place = words[: 1 if words[0] in {"evaluate", "predict"} else 2]
    help_text = subprocess.run([MASKX, *place, "--help"], capture_output=True, text=True, check=True).stdout
    for option in (word for word in words if word.startswith("--")):
        assert re.search(rf"{option}(?![\w-])", help_text), f"{' '.join(place)} has no {option}"


def test_the_make_targets_of_the_readme_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {line.split()[1] for _, lines in blocks() for line in lines if line.startswith("make ")}
    assert named
    assert named <= targets


def test_the_pictures_and_files_that_a_document_names_exist() -> None:
    for document in documents():
        text = re.sub(r"```.*?```", "", document.read_text(), flags=re.DOTALL)
        for path in re.findall(r"\]\(((?!https?:)[^)#]+)\)", text):
            assert (document.parent / path).exists(), f"{document.relative_to(ROOT)}: {path}"
    for path in ["DATA_LICENSES.md", "pipelines/maskx_vg3000.yaml"]:
        assert (ROOT / path).exists(), path


def test_every_package_has_a_readme_that_can_be_read_at_once() -> None:
    packages = {file.parent for top in PYTHON for file in (ROOT / top).rglob("__init__.py")}
    assert packages
    for package in packages - {folder for folder in packages if folder.name == "templates"}:
        lines = (package / "README.md").read_text().count("\n")
        assert 5 <= lines <= 60, f"{package.relative_to(ROOT)}/README.md: {lines} lines"
    assert (ROOT / "README.md").read_text().count("\n") <= 150


def test_own_data_is_prepared_as_the_readme_says(tmp_path: Path) -> None:
    write_toy_world(tmp_path / "toy", images=24, val_images=8)
    coco = tmp_path / "toy" / "coco"
    shutil.copytree(coco / "train2017", tmp_path / "photos")
    shutil.copytree(coco / "val2017", tmp_path / "photos", dirs_exist_ok=True)
    shutil.copy(coco / "annotations" / "instances_train2017.json", tmp_path / "annotations.json")
    shutil.copy(coco / "annotations" / "instances_val2017.json", tmp_path / "val.json")
    boxes = json.loads((tmp_path / "val.json").read_text())
    for annotation in boxes["annotations"]:
        del annotation["segmentation"]
    (tmp_path / "boxes.json").write_text(json.dumps(boxes))
    write_model(tmp_path / "masks", [category["name"] for category in boxes["categories"]], "transfer")
    for line in [*block("own data"), *(line for line in block("own model") if " annotate " in line)]:
        subprocess.run(line.replace(".venv/bin/maskx", MASKX), shell=True, check=True, cwd=tmp_path)
    assert (tmp_path / "check.html").exists()
    assert (tmp_path / "dataset" / "manifest.json").exists()
    completed = json.loads((tmp_path / "annotated" / "boxes.json").read_text())["annotations"]
    assert sum("segmentation" in annotation for annotation in completed) > len(completed) // 2
