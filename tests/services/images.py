"""Building images by buildah in chroot isolation, starting them, and looking into their layers."""

import json
import mmap
import os
import re
import shutil
import signal
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[2]
BOM = REPOSITORY / ".services" / "bom" / "bin" / "python"
SECRET = "planted-not-to-be-found"
ENVIRONMENT = {"STORAGE_DRIVER": "overlay", "BUILDAH_ISOLATION": "chroot"}
NEEDS_BUILDAH = pytest.mark.skipif(
    shutil.which("buildah") is None or shutil.which("debootstrap") is None or os.geteuid() != 0,
    reason="needs buildah and debootstrap (Debian: apt-get install buildah debootstrap), and root",
)


def buildah(*words: str) -> str:
    """What buildah prints; it must succeed."""
    done = subprocess.run(
        ["buildah", *words], env=os.environ | ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def build(targets: Sequence[str]) -> dict[str, str]:
    """Target → image, built while a secret is in the environment."""
    environment = os.environ | ENVIRONMENT | {"PYTHON": str(BOM), "AWS_SECRET_ACCESS_KEY": SECRET}
    command = [str(REPOSITORY / "infra" / "images" / "build.sh"), *targets]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return {target: f"maskx-{target}:0.1.0" for target in targets}


@contextmanager
def container(image: str) -> Iterator[str]:
    """The name of a container of the image, which is removed when the block ends."""
    name = buildah("from", image).strip()
    try:
        yield name
    finally:
        buildah("rm", name)


@contextmanager
def started(name: str, command: Sequence[str], *options: str, log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A command that runs in the container until the block ends."""
    with log.open("w") as file:
        process = subprocess.Popen(
            ["buildah", "run", *options, name, "--", *command],
            env=os.environ | ENVIRONMENT,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGTERM)  # buildah does not pass it on to all that the command has started
        process.wait(30)


def command_of(image: str) -> list[str]:
    """What a container of the image runs unless told otherwise."""
    command: list[str] = json.loads(buildah("inspect", "--type", "image", image))["OCIv1"]["config"]["Cmd"]
    return command


def check_layers(image: str, scratch: Path) -> None:
    """Assert that no layer holds the secret, a cache, or the host's settings."""
    buildah("push", "--disable-compression", image, f"dir:{scratch}")
    manifest = json.loads((scratch / "manifest.json").read_text())
    for stored in [manifest["config"], *manifest["layers"]]:
        with (scratch / stored["digest"].partition(":")[2]).open("rb") as file:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                assert content.find(SECRET.encode()) == -1
            if stored == manifest["config"]:
                continue
            with tarfile.open(fileobj=file) as layer:
                for member in layer:
                    assert "/.cache/" not in f"/{member.name}", member.name
                    assert not re.match(r"var/(lib/apt/lists|cache/apt)/.", member.name), member.name
                    assert member.name != "etc/pip.conf" or member.size == 0


def listed_versions(image: str) -> dict[str, Any]:
    """Package → version, as the image's bill of materials has it; Debian's packages must be listed beside it."""
    name = image.partition(":")[0]
    bill = json.loads((REPOSITORY / "dist" / "images" / f"{name}.cdx.json").read_text())
    assert bill["bomFormat"] == "CycloneDX"
    assert "libc6" in (REPOSITORY / "dist" / "images" / f"{name}.debian.txt").read_text()
    return {each["name"].lower(): each.get("version") for each in bill["components"]}


def pins() -> dict[str, str]:
    """Package → version, as `constraints.txt` has it."""
    return dict(line.split("==") for line in (REPOSITORY / "constraints.txt").read_text().split())
