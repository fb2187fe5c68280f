"""What is installed is what was tried here: the built wheel, in an environment of its own."""

import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PACKAGES = ("components", "data_prep", "maskx_model", "pipelines")


@pytest.fixture(scope="module")
def maskx(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `maskx` of a fresh environment that holds the wheel and borrows the libraries of this one."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for package in PACKAGES:
        shutil.copytree(REPOSITORY / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "README.md", "LICENSE", "DATA_LICENSES.md"):
        shutil.copy(REPOSITORY / file, source)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(source)]
    subprocess.run(build, check=True, capture_output=True)

    venv.create(folder / "venv")
    python = folder / "venv" / "bin" / "python"
    site_packages = next((folder / "venv" / "lib").glob("python*/site-packages"))
    (site_packages / "libraries.pth").write_text(sysconfig.get_path("purelib"))
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*install, *map(str, folder.glob("*.whl"))], check=True, capture_output=True)
    return folder / "venv" / "bin" / "maskx"


@pytest.fixture
def crowded_folder(tmp_path: Path) -> Path:
    """A working folder whose own packages have our names."""
    for package in PACKAGES:
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("raise RuntimeError('not ours')")
    return tmp_path


def test_the_wheel_holds_every_package_and_data_file(maskx: Path) -> None:
    site_packages = next((maskx.parents[1] / "lib").glob("python*/site-packages"))
    wanted = {
        path.relative_to(REPOSITORY)
        for package in PACKAGES
        for path in (REPOSITORY / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {path for path in wanted if not (site_packages / path).exists()} == set()


def test_the_command_answers_from_a_folder_with_packages_of_its_own(maskx: Path, crowded_folder: Path) -> None:
    for words in (["--help"], ["--version"], ["train", "detector", "--help"], ["pipeline", "run", "--help"]):
        done = subprocess.run([maskx, *words], cwd=crowded_folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_it_works_there_too(maskx: Path, crowded_folder: Path) -> None:
    words = ["data", "toy", "toy", "--images", "20", "--val-images", "5"]
    subprocess.run([maskx, *words], cwd=crowded_folder, capture_output=True, check=True)
    assert (crowded_folder / "toy" / "coco" / "annotations" / "instances_train2017.json").exists()
    subprocess.run([maskx, "pipeline", "compile"], cwd=crowded_folder, capture_output=True, check=True)
    beside = (REPOSITORY / "pipelines" / "maskx_vg3000.yaml").read_text(encoding="utf-8")
    assert (crowded_folder / "maskx_vg3000.yaml").read_text(encoding="utf-8") == beside
