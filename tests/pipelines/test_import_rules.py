"""Imports go one way: pipelines → components → maskx_model, data_prep → data_prep.format."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]

# Room → what it may import of ours.
DIRECTIONS = {
    "data_prep/format": ("data_prep.format",),
    "data_prep": ("data_prep",),
    "maskx_model": ("maskx_model", "data_prep.format"),
    "components": ("components", "maskx_model", "data_prep"),
    "pipelines": ("pipelines", "components", "maskx_model", "data_prep"),
}
OURS = ("data_prep", "maskx_model", "components", "pipelines")

# Library → the files that may name it.
OWNERS = {
    "kfp": ("components/", "pipelines/"),
    "mlflow": ("maskx_model/tracking.py", "maskx_model/registry.py", "maskx_model/serving_model.py"),
    "boto3": ("data_prep/format/s3",),
    "botocore": ("data_prep/format/s3",),
    "s3transfer": ("data_prep/format/s3",),
    "apache_beam": ("data_prep/", "maskx_model/batch_prediction.py"),
    "torch": ("maskx_model/",),
    "torchvision": ("maskx_model/",),
}

# Room → libraries that it must do without.
WITHOUT = {
    "data_prep/format": ("apache_beam", "cv2", "kfp", "mlflow", "torch", "torchvision"),
    "data_prep": ("kfp", "mlflow", "torch", "torchvision"),
    "maskx_model": ("apache_beam", "kfp"),
    "components": ("apache_beam", "mlflow", "torch", "torchvision"),
    "pipelines": ("apache_beam", "mlflow", "torch", "torchvision"),
}

BLOCKED_IMPORTS = """
import importlib, sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked}:
            raise ImportError(name + " must not be needed here")
sys.meta_path.insert(0, Blocked())
for module in {modules}:
    importlib.import_module(module)
"""


def files_of(room: str) -> list[Path]:
    """The room's files; `data_prep` without its format, which is a room of its own."""
    inner = {path for other in DIRECTIONS if other.startswith(f"{room}/") for path in (REPOSITORY / other).rglob("*")}
    return sorted(path for path in (REPOSITORY / room).rglob("*.py") if path not in inner)


def imports_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield str(node.module)


def within(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


@pytest.mark.parametrize("room", DIRECTIONS)
def test_a_room_imports_only_rooms_below_it(room: str) -> None:
    assert files_of(room)
    wrong = [
        f"{path.relative_to(REPOSITORY)}: {module}"
        for path in files_of(room)
        for module in imports_of(path)
        if within(module, OURS) and not within(module, DIRECTIONS[room])
    ]
    assert wrong == []


@pytest.mark.parametrize("library", OWNERS)
def test_a_library_is_imported_only_where_it_belongs(library: str) -> None:
    wrong = [
        str(path.relative_to(REPOSITORY))
        for room in DIRECTIONS
        for path in files_of(room)
        if any(within(module, (library,)) for module in imports_of(path))
        and not str(path.relative_to(REPOSITORY)).startswith(OWNERS[library])
    ]
    assert wrong == []


@pytest.mark.parametrize("room", WITHOUT)
def test_a_room_can_be_imported_without_the_libraries_of_the_others(room: str) -> None:
    modules = [
        ".".join(path.relative_to(REPOSITORY).with_suffix("").parts)
        for path in files_of(room)
        if path.name not in {"__init__.py", "serving_model.py"}  # the latter is run by MLflow, not imported
    ]
    program = BLOCKED_IMPORTS.format(blocked=set(WITHOUT[room]), modules=modules)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=REPOSITORY)
    assert done.returncode == 0, done.stderr


def test_presets_and_command_files_need_no_heavy_library() -> None:
    modules = ["maskx_model.presets", "maskx_model.commands", "data_prep.commands", "pipelines.commands"]
    heavy = {"apache_beam", "cv2", "kfp", "matplotlib", "mlflow", "numpy", "pandas", "pyarrow", "torch", "torchvision"}
    program = BLOCKED_IMPORTS.format(blocked=heavy, modules=modules)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=REPOSITORY)
    assert done.returncode == 0, done.stderr


def test_files_on_disk_need_no_library_for_object_storage() -> None:
    modules = ["data_prep.pipeline", "data_prep.verify", "maskx_model.stages", "maskx_model.evaluation"]
    program = BLOCKED_IMPORTS.format(blocked={"boto3", "botocore", "s3transfer"}, modules=modules)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=REPOSITORY)
    assert done.returncode == 0, done.stderr


def test_no_template_hides_a_shared_one() -> None:
    """A page looks in its own package's folder first."""
    files = [file for room in ("data_prep", "maskx_model") for file in (REPOSITORY / room).rglob("*.j2")]
    names = [file.name for file in files]
    assert len({file.parent for file in files}) > 1
    assert len(names) == len(set(names))
