"""The images' recipe. `tests/services/test_images.py` builds and starts those without torch."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from components.image import IMAGE

REPOSITORY = Path(__file__).parents[2]
IMAGES = REPOSITORY / "infra" / "images"
DOCKERFILE = IMAGES / "Dockerfile"
RECIPE = DOCKERFILE.read_text(encoding="utf-8")
TARGETS = ("tracking", "serve", "data", "train")


def stage(name: str) -> str:
    """The lines of one stage."""
    (text,) = re.findall(rf"^FROM \S+ AS {name}\n(.*?)(?=^FROM |\Z)", RECIPE, re.MULTILINE | re.DOTALL)
    return str(text)


def requirements(*extras: str) -> list[str]:
    command = [sys.executable, str(IMAGES / "requirements.py"), str(REPOSITORY / "pyproject.toml"), *extras]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def test_the_dockerfile_is_clean() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, DOCKERFILE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_all_steps_run_in_the_last_image_under_the_name_that_the_components_use() -> None:
    assert f"-t {IMAGE} " in RECIPE
    assert re.findall(r"^FROM \S+ AS (\S+)$", RECIPE, re.MULTILINE)[-1] == "train"


def test_what_it_copies_exists_and_is_let_through() -> None:
    allowed = (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").splitlines()
    copied = [
        word
        for line in RECIPE.splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for word in line.split()[1:-1]
    ]
    assert copied
    for name in copied:
        assert (REPOSITORY / name).exists()
        assert f"!{name}" in allowed


@pytest.mark.parametrize("target", TARGETS)
def test_no_image_runs_as_root(target: str) -> None:
    assert re.findall(r"^USER (.*)$", stage(target), re.MULTILINE) == ["1000"]


@pytest.mark.parametrize("target", ["data", "train"])
def test_the_commit_is_an_argument_of_the_images_that_make_models_and_data(target: str) -> None:
    assert 'ARG MASKX_COMMIT=""' in stage(target)
    assert "ENV MASKX_COMMIT=$MASKX_COMMIT" in stage(target)


def test_every_library_is_pinned_and_no_cache_is_kept() -> None:
    installs = [line for line in RECIPE.splitlines() if "pip install" in line]
    assert installs
    for line in installs:
        assert "--no-cache-dir" in line
        assert "--constraint /constraints.txt" in line or "--no-deps" in line


def test_every_named_library_has_a_version() -> None:
    pins = (REPOSITORY / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {line.partition("==")[0].lower().replace("_", "-") for line in pins}
    for line in requirements("data", "pipeline", "train", "serve", "tracking"):
        assert re.split(r"[<>=!~\[ ]", line)[0].lower().replace("_", "-") in pinned, line


def test_an_extra_of_ours_stands_for_its_libraries() -> None:
    serve = requirements("serve")
    assert any(line.startswith("torch>") for line in serve)
    assert any(line.startswith("boto3>") for line in serve)
    assert not [line for line in serve if line.startswith("maskx")]


def test_only_what_trains_or_serves_holds_torch() -> None:
    assert not [line for line in [*requirements("data", "pipeline"), *requirements("tracking")] if "torch" in line]


def test_an_unknown_image_is_refused_by_name() -> None:
    done = subprocess.run([IMAGES / "build.sh", "gpu"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "there is no image gpu; take tracking, data, train or serve" in done.stderr
