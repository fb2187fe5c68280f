"""The image's recipe; building it takes several gigabytes and is tried by hand (infra/images/build.sh)."""

import subprocess
import sys
from pathlib import Path

from components.image import IMAGE

REPOSITORY = Path(__file__).parents[2]
DOCKERFILE = REPOSITORY / "infra" / "images" / "Dockerfile"


def test_the_dockerfile_is_clean() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, DOCKERFILE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_it_is_built_under_the_name_that_the_components_use() -> None:
    assert f"-t {IMAGE} " in DOCKERFILE.read_text(encoding="utf-8")


def test_what_it_copies_exists_and_is_let_through() -> None:
    allowed = (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").splitlines()
    copied = [
        word
        for line in DOCKERFILE.read_text(encoding="utf-8").splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for word in line.split()[1:-1]
    ]
    assert copied
    for name in copied:
        assert (REPOSITORY / name).exists()
        assert f"!{name}" in allowed


def test_it_does_not_run_as_root() -> None:
    users = [line for line in DOCKERFILE.read_text(encoding="utf-8").splitlines() if line.startswith("USER ")]
    assert users == ["USER 1000"]
