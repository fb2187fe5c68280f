"""Services that the tests start themselves."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.local_services import state_folder
from tests.services.local_services import LocalServices, local_services
from tests.services.object_storage import ACCESS_KEY, SECRET_KEY, FlakyWay, flaky_way, seaweedfs
from tests.services.pipeline_runs import WHOLE, Ran, Whole, content_of, new_run

BUCKET = "tests"
_numbers = itertools.count()


@pytest.fixture(scope="session")
def s3_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a running S3-compatible server."""
    with seaweedfs(tmp_path_factory.mktemp("seaweedfs")) as endpoint:
        yield endpoint


@pytest.fixture
def use_endpoint(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[str], None]]:
    """Lets this process and its children talk to an endpoint, with the tests' credentials and a scratch of its own."""
    from data_prep.storage import s3_client

    def use(endpoint: str) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        s3_client.client.cache_clear()

    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no_config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no_credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("MASKX_SCRATCH", str(tmp_path / "scratch"))
    yield use
    forget_endpoint()


def forget_endpoint() -> None:
    """What this process knows of object storage is of another environment."""
    from data_prep.storage import s3_client, s3_names

    s3_client.client.cache_clear()
    s3_names.require_bucket.cache_clear()
    s3_names._refuse_bucket_in_endpoint.cache_clear()


@pytest.fixture
def store(s3_endpoint: str, use_endpoint: Callable[[str], None]) -> str:
    """The URI of an empty folder in a bucket."""
    from data_prep.storage.s3_client import client

    use_endpoint(s3_endpoint)
    number = next(_numbers)
    if number == 0:
        client().create_bucket(Bucket=BUCKET)
    return f"s3://{BUCKET}/{number}"


@pytest.fixture
def flaky(store: str, s3_endpoint: str, use_endpoint: Callable[[str], None]) -> Iterator[FlakyWay]:
    """A way to the store on which every fifth request fails, taken from now on."""
    with flaky_way(s3_endpoint) as way:
        use_endpoint(way.url)
        yield way


@pytest.fixture(scope="session")
def running_services() -> Iterator[LocalServices]:
    """MLflow's server on PostgreSQL, with an S3 store."""
    with state_folder() as state, local_services(state) as services:
        yield services


@pytest.fixture
def services(
    running_services: LocalServices, use_endpoint: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> LocalServices:
    """Those services, as this process and its children find them."""
    for name, value in running_services.environment.items():
        monkeypatch.setenv(name, value)
    use_endpoint(running_services.environment["AWS_ENDPOINT_URL_S3"])
    return running_services


@pytest.fixture(scope="session")
def whole(running_services: LocalServices, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """The whole pipeline against those services."""
    run = new_run(running_services, tmp_path_factory.mktemp("run"), WHOLE)
    shown = run.start()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in running_services.environment.items():
            patch.setenv(name, value)
        forget_endpoint()
        content = content_of(run.root)
    forget_endpoint()
    return Whole(run, shown, content)


@pytest.fixture(scope="session")
def ran(whole: Whole) -> Ran:
    """The same twice more."""
    return Ran(whole.run, whole.shown, whole.run.start(), whole.run.start(["evaluation.max_images=6"]))
