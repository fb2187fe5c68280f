"""The images without torch are built by buildah in chroot isolation, and started."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.processes import wait_for_server
from tests.services.images import (
    NEEDS_BUILDAH,
    REPOSITORY,
    build,
    buildah,
    check_layers,
    container,
    listed_versions,
    pins,
    started,
)
from tests.services.object_storage import free_ports

pytestmark = [pytest.mark.services, pytest.mark.timeout(1200), NEEDS_BUILDAH]


@pytest.fixture(scope="module")
def commit() -> str:
    """The commit that the images are built of."""
    command = ["git", "rev-parse", "HEAD"]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture(scope="module")
def images() -> dict[str, str]:
    """Target → image."""
    return build(["tracking", "data"])


@pytest.fixture(params=["tracking", "data"])
def image(request: pytest.FixtureRequest, images: dict[str, str]) -> str:
    return images[request.param]


@pytest.fixture
def data(images: dict[str, str]) -> Iterator[str]:
    """A container of the image for data."""
    with container(images["data"]) as name:
        yield name


@pytest.fixture
def tracking(images: dict[str, str]) -> Iterator[str]:
    """A container of the tracking server's image."""
    with container(images["tracking"]) as name:
        yield name


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


def test_the_tracking_server_answers(tracking: str, tmp_path: Path) -> None:
    assert buildah("run", tracking, "--", "id", "-u").strip() == "1000"
    (port,) = free_ports(1)
    store = ["--backend-store-uri", "sqlite:////tmp/mlflow.db", "--workers", "1"]
    command = ["mlflow", "server", "--host", "127.0.0.1", "--port", str(port), *store]
    url = f"http://127.0.0.1:{port}/health"
    with started(tracking, command, log=tmp_path / "log") as server:
        wait_for_server(server, url, tmp_path / "log")
        with urlopen(url, timeout=5) as answer:
            assert answer.read() == b"OK"


def test_no_layer_holds_a_secret_a_cache_or_the_hosts_settings(image: str, tmp_path: Path) -> None:
    check_layers(image, tmp_path)


def test_what_is_in_it_is_listed_with_versions(image: str) -> None:
    versions = listed_versions(image)
    assert versions["numpy"] == pins()["numpy"]
    assert "torch" not in versions
