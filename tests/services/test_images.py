"""The images without torch are built by buildah in chroot isolation, and started.

Those with torch take several gigabytes each: no test builds them.
"""

import json
import mmap
import os
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.request import urlopen

import pytest

REPOSITORY = Path(__file__).parents[2]
SECRET = "planted-not-to-be-found"
ENVIRONMENT = {"STORAGE_DRIVER": "overlay", "BUILDAH_ISOLATION": "chroot"}

pytestmark = [
    pytest.mark.services,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(
        shutil.which("buildah") is None or shutil.which("debootstrap") is None or os.geteuid() != 0,
        reason="needs buildah and debootstrap (Debian: apt-get install buildah debootstrap), and root",
    ),
]


def buildah(*words: str) -> str:
    done = subprocess.run(
        ["buildah", *words], env=os.environ | ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def commit() -> str:
    """The commit that the images are built of."""
    command = ["git", "rev-parse", "HEAD"]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture(scope="module")
def images(commit: str) -> dict[str, str]:
    """Target → image, built while a secret is in the environment."""
    environment = os.environ | ENVIRONMENT | {"PYTHON": sys.executable, "AWS_SECRET_ACCESS_KEY": SECRET}
    targets = ("tracking", "data")
    command = [str(REPOSITORY / "infra" / "images" / "build.sh"), *targets]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return {target: f"maskx-{target}:0.1.0" for target in targets}


@pytest.fixture(params=["tracking", "data"])
def image(request: pytest.FixtureRequest, images: dict[str, str]) -> str:
    return images[request.param]


def container(image: str) -> Iterator[str]:
    name = buildah("from", image).strip()
    yield name
    buildah("rm", name)


@pytest.fixture
def data(images: dict[str, str]) -> Iterator[str]:
    """A container of the image for data."""
    yield from container(images["data"])


@pytest.fixture
def tracking(images: dict[str, str]) -> Iterator[str]:
    """A container of the tracking server's image."""
    yield from container(images["tracking"])


def test_maskx_starts_as_user_1000_with_its_commit_and_without_torch(data: str, commit: str) -> None:
    assert buildah("run", data, "--", "id", "-u").strip() == "1000"
    assert buildah("run", data, "--", "printenv", "MASKX_COMMIT").strip() == commit
    assert "0.1.0" in buildah("run", data, "--", "maskx", "--version")
    find = "import importlib.util as i; print(i.find_spec('torch'), i.find_spec('apache_beam') is not None)"
    assert buildah("run", data, "--", "python", "-c", find).strip() == "None True"


def test_the_image_for_data_prepares_a_dataset(data: str) -> None:
    script = (
        "cd /tmp && maskx data toy toy --images 40 --val-images 8 && "
        "maskx data prepare --source coco=coco:toy/coco --source vg=vg:toy/visual_genome --out dataset && "
        "maskx data verify dataset"
    )
    buildah("run", data, "--", "sh", "-c", script)


def test_the_tracking_server_answers(tracking: str) -> None:
    assert buildah("run", tracking, "--", "id", "-u").strip() == "1000"
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    store = ["--backend-store-uri", "sqlite:////tmp/mlflow.db", "--workers", "1"]
    command = ["mlflow", "server", "--host", "127.0.0.1", "--port", str(port), *store]
    server = subprocess.Popen(["buildah", "run", tracking, "--", *command], env=os.environ | ENVIRONMENT)
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                with urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
                    assert answer.read() == b"OK"
                    break
            except OSError:
                assert time.monotonic() < deadline, "the server did not start"
                assert server.poll() is None
                time.sleep(0.5)
    finally:
        server.terminate()
        server.wait(30)


def test_no_layer_holds_a_secret_a_cache_or_the_hosts_settings(image: str, tmp_path: Path) -> None:
    buildah("push", "--disable-compression", image, f"dir:{tmp_path}")
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    for stored in [manifest["config"], *manifest["layers"]]:
        with (tmp_path / stored["digest"].partition(":")[2]).open("rb") as file:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                assert content.find(SECRET.encode()) == -1
            if stored == manifest["config"]:
                continue
            with tarfile.open(fileobj=file) as layer:
                for member in layer:
                    assert "/.cache/" not in f"/{member.name}", member.name
                    assert not re.match(r"var/(lib/apt/lists|cache/apt)/.", member.name), member.name
                    assert member.name != "etc/pip.conf" or member.size == 0


def test_what_is_in_it_is_listed_with_versions(image: str) -> None:
    name = image.partition(":")[0]
    bill = json.loads((REPOSITORY / "dist" / "images" / f"{name}.cdx.json").read_text())
    assert bill["bomFormat"] == "CycloneDX"
    versions = {each["name"].lower(): each.get("version") for each in bill["components"]}
    pins = dict(line.split("==") for line in (REPOSITORY / "constraints.txt").read_text().split())
    assert versions["numpy"] == pins["numpy"]
    assert "torch" not in versions
    assert "libc6" in (REPOSITORY / "dist" / "images" / f"{name}.debian.txt").read_text()
