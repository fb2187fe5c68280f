"""Imports go one way: pipelines → components → maskx_model → data_prep, and within these along ORDER."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pipelines.blocked_imports import BLOCK_IMPORTS
from tests.pipelines.commands import all_commands

REPOSITORY = Path(__file__).parents[2]

# Packages in the order in which data flows: each may import those above it, and itself.
ORDER = (
    "data_prep/arguments.py",
    "data_prep/storage",
    "data_prep/format",
    "data_prep/pages",
    "data_prep/content",
    "data_prep/sources",
    "data_prep/plan",
    "data_prep/shards",
    "data_prep/beam",
    "data_prep/inspect",
    "data_prep/prepare",
    "data_prep/check",
    "data_prep/browse",
    "data_prep/export",
    "data_prep/toy_world",
    "data_prep/cli",
    "data_prep",
    "maskx_model/ranges.py",
    "maskx_model/config.py",
    "maskx_model/schedules.py",
    "maskx_model/model/cpu",
    "maskx_model/model",
    "maskx_model/masks",
    "maskx_model/run_config.py",
    "maskx_model/presets.py",
    "maskx_model/configure",
    "maskx_model/data",
    "maskx_model/artifacts",
    "maskx_model/training",
    "maskx_model/results",
    "maskx_model/evaluation",
    "maskx_model/report",
    "maskx_model/registry",
    "maskx_model/launch",
    "maskx_model/preflight",
    "maskx_model/inference",
    "maskx_model/batch_prediction",
    "maskx_model/annotate",
    "maskx_model/cli",
    "maskx_model/study",
    "maskx_model",
    "components",
    "pipelines",
)
FOR_THE_MODEL = ("data_prep/arguments.py", "data_prep/storage", "data_prep/format", "data_prep/pages")
ALSO_FOR = {
    # It predicts on the engines that prepare data.
    "maskx_model/batch_prediction": ("data_prep/beam",),
    # It reads people's annotation files and writes them again, on the engines that prepare them.
    "maskx_model/annotate": ("data_prep/sources", "data_prep/plan", "data_prep/beam"),
    "maskx_model/cli": ("data_prep/beam",),
    # Its ranks are processes of their own, which show the log as commands do.
    "maskx_model/launch": ("data_prep",),
    # It looks at the original files before they are prepared.
    "maskx_model/preflight": ("data_prep/prepare", "data_prep/sources", "data_prep/toy_world"),
}
OURS = ("data_prep", "maskx_model", "components", "pipelines")

# Library → the files that may name it.
OWNERS = {
    "kfp": ("components/", "pipelines/"),
    "mlflow": (
        "maskx_model/registry/live_",
        "maskx_model/registry/logged_model.py",
        "maskx_model/registry/mlflow_run.py",
        "maskx_model/inference/serving_model.py",
    ),
    "kubernetes": ("maskx_model/preflight/nodes.py", "maskx_model/launch/cluster.py", "maskx_model/launch/machines.py"),
    "kubeflow": ("maskx_model/launch/cluster.py",),
    "boto3": ("data_prep/storage/s3",),
    "botocore": ("data_prep/storage/s3",),
    "s3transfer": ("data_prep/storage/s3",),
    "apache_beam": ("data_prep/beam/",),
    "torch": ("maskx_model/",),
    "torchvision": ("maskx_model/",),
}

# Libraries that these packages must do without.
_DATA = tuple(package for package in ORDER if package.startswith("data_prep") and package not in FOR_THE_MODEL)
_MODEL = tuple(package for package in ORDER if package.startswith("maskx_model"))
WITHOUT = (
    (FOR_THE_MODEL, ("apache_beam", "cv2", "kfp", "mlflow", "torch", "torchvision")),
    (_DATA, ("kfp", "mlflow", "torch", "torchvision")),
    (_MODEL, ("apache_beam", "kfp")),
    (("components", "pipelines"), ("apache_beam", "mlflow", "torch", "torchvision")),
)

BLOCKED_IMPORTS = (
    BLOCK_IMPORTS
    + """
import importlib
for module in {modules}:
    importlib.import_module(module)
"""
)


def files_of(package: str) -> list[Path]:
    """The package's files without those of packages inside it that stand in ORDER themselves."""
    top = REPOSITORY / package
    if top.is_file():
        return [top]
    inner = {file for other in ORDER if other.startswith(f"{package}/") for file in files_of(other)}
    return sorted(file for file in top.rglob("*.py") if file not in inner)


def imports_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)  # a module of a package


def within(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def packages_of_modules() -> dict[str, str]:
    """Module → the package in ORDER that holds it."""
    return {
        ".".join(file.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__"): package
        for package in ORDER
        for file in files_of(package)
    }


def test_every_file_belongs_to_a_package() -> None:
    listed = {file for package in ORDER for file in files_of(package)}
    assert listed == {file for top in OURS for file in (REPOSITORY / top).rglob("*.py")}


@pytest.mark.parametrize("package", ORDER)
def test_imports_follow_the_order_in_which_data_flows(package: str) -> None:
    modules = packages_of_modules()
    above = set(ORDER[: ORDER.index(package) + 1])
    if package.startswith("maskx_model"):
        allowed = (*FOR_THE_MODEL, *ALSO_FOR.get(package, ()))
        above -= {other for other in ORDER if other.startswith("data_prep") and other not in allowed}
    wrong = [
        f"{file.relative_to(REPOSITORY)}: {module}"
        for file in files_of(package)
        for module in imports_of(file)
        if module in modules and modules[module] not in above
    ]
    assert wrong == []


@pytest.mark.parametrize("library", OWNERS)
def test_a_library_is_imported_only_where_it_belongs(library: str) -> None:
    wrong = [
        str(path.relative_to(REPOSITORY))
        for room in ORDER
        for path in files_of(room)
        if any(within(module, (library,)) for module in imports_of(path))
        and not str(path.relative_to(REPOSITORY)).startswith(OWNERS[library])
    ]
    assert wrong == []


@pytest.mark.parametrize(("packages", "libraries"), WITHOUT, ids=("format", "data", "model", "pipelines"))
def test_packages_can_be_imported_without_the_libraries_of_the_others(
    packages: tuple[str, ...], libraries: tuple[str, ...]
) -> None:
    modules = [
        ".".join(path.relative_to(REPOSITORY).with_suffix("").parts)
        for package in packages
        for path in files_of(package)
        if path.name not in {"__init__.py", "serving_model.py"}  # the latter is run by MLflow, not imported
    ]
    program = BLOCKED_IMPORTS.format(blocked=set(libraries), modules=modules)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=REPOSITORY)
    assert done.returncode == 0, done.stderr


def test_presets_and_command_files_need_no_heavy_library() -> None:
    modules = ["maskx_model.presets", *all_commands().values()]
    heavy = {"apache_beam", "cv2", "kfp", "matplotlib", "mlflow", "numpy", "pandas", "pyarrow", "torch", "torchvision"}
    program = BLOCKED_IMPORTS.format(blocked=heavy, modules=modules)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=REPOSITORY)
    assert done.returncode == 0, done.stderr


def test_what_finds_its_work_done_needs_no_heavy_library() -> None:
    modules = ["maskx_model.launch.launch", "maskx_model.report.evaluate", "maskx_model.preflight.outcome"]
    heavy = {"PIL", "boto3", "cv2", "kubernetes", "mlflow", "numpy", "pandas", "pyarrow", "torch", "torchvision"}
    program = BLOCKED_IMPORTS.format(blocked=heavy, modules=modules)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=REPOSITORY)
    assert done.returncode == 0, done.stderr


def test_files_on_disk_need_no_library_for_object_storage() -> None:
    modules = [
        "data_prep.prepare.prepare",
        "data_prep.inspect.verify",
        "maskx_model.training.stages",
        "maskx_model.report.evaluate",
    ]
    program = BLOCKED_IMPORTS.format(blocked={"boto3", "botocore", "s3transfer"}, modules=modules)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=REPOSITORY)
    assert done.returncode == 0, done.stderr


def test_no_template_hides_a_shared_one() -> None:
    """A page looks in its own package's folder first."""
    files = [file for room in ("data_prep", "maskx_model") for file in (REPOSITORY / room).rglob("*.j2")]
    names = [file.name for file in files]
    assert len({file.parent for file in files}) > 1
    assert len(names) == len(set(names))
