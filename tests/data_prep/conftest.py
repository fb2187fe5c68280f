"""A small toy world in the original layouts, and the dataset made of it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from data_prep.format.manifest import Manifest
from data_prep.prepare.options import PrepareOptions
from data_prep.prepare.prepare import prepare
from data_prep.toy_world import write_toy_world
from tests.data_prep.small_s3 import SmallStore, small_s3

Prepare = Callable[..., Manifest]


@pytest.fixture(scope="session")
def toy_original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 training and 20 validation images, with every trouble that the toy world has."""
    out = tmp_path_factory.mktemp("toy") / "original"
    write_toy_world(out, images=40, val_images=20)
    return out


@pytest.fixture(scope="session")
def prepare_toy(toy_original: Path) -> Prepare:
    """Prepares the toy world into a folder, with the options given."""

    def run(out: Path, **options: Any) -> Manifest:
        sources = (f"coco=coco:{toy_original}/coco", f"vg=vg:{toy_original}/visual_genome")
        return prepare(PrepareOptions(sources=sources, out=str(out), **{"max_rejected": 0.1, **options}))

    return run


@pytest.fixture(scope="session")
def toy_dataset(tmp_path_factory: pytest.TempPathFactory, prepare_toy: Prepare) -> Path:
    """The toy world's dataset, with all synsets."""
    out = tmp_path_factory.mktemp("toy_dataset") / "dataset"
    prepare_toy(out)
    return out


@pytest.fixture
def plain_store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[SmallStore]:
    """A running object store with an empty bucket, `s3://bucket`, to which this process talks without a region."""
    from data_prep.storage import s3_client, s3_names

    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_REQUEST_CHECKSUM_CALCULATION", "AWS_RESPONSE_CHECKSUM_VALIDATION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in (("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b"), ("AWS_EC2_METADATA_DISABLED", "1")):
        monkeypatch.setenv(name, value)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "MASKX_SCRATCH"):
        monkeypatch.setenv(name, str(tmp_path / name))
    with small_s3() as store:
        monkeypatch.setenv("AWS_ENDPOINT_URL", store.url)
        s3_client.client.cache_clear()
        yield store
    s3_client.client.cache_clear()
    s3_names.require_bucket.cache_clear()
    s3_names._refuse_bucket_in_endpoint.cache_clear()
