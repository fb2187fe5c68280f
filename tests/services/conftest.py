"""Services that the tests start themselves."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.services.object_storage import ACCESS_KEY, SECRET_KEY, FlakyWay, flaky_way, seaweedfs

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
    from data_prep.storage import s3_client, s3_names

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
