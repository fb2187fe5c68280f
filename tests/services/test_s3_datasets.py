"""A dataset prepared from object storage into object storage is the one prepared on disk, byte for byte."""

from collections.abc import Callable
from pathlib import Path

import pytest

from data_prep.format.reader import Dataset
from data_prep.inspect.verify import find_problems
from data_prep.prepare.options import PrepareOptions
from data_prep.prepare.prepare import prepare
from data_prep.shards.image_file import read_image_file
from data_prep.sources.images import SourceImage
from data_prep.storage import s3_client
from data_prep.storage.errors import DataError, StorageError
from data_prep.storage.storage import list_files, read, remove, write
from data_prep.toy_world import write_toy_world
from pipelines.cli import main
from tests.services.object_storage import FlakyWay, upload

pytestmark = pytest.mark.services


def contents(uri: str) -> dict[str, bytes]:
    """A dataset's files; `run.json` alone tells of the run."""
    return {path: read(f"{uri}/{path}") for path in list_files(uri) if path != "run.json"}


def options(original: str, out: str, workers: int = 1) -> PrepareOptions:
    sources = (f"coco=coco:{original}/coco", f"vg=vg:{original}/visual_genome")
    return PrepareOptions(sources=sources, out=out, max_rejected=0.2, shard_bytes=40_000, workers=workers)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A toy world on disk, with its troubles."""
    folder = tmp_path_factory.mktemp("toy") / "original"
    write_toy_world(folder, images=20, val_images=10)
    return folder


@pytest.fixture(scope="module")
def expected(original: Path) -> dict[str, bytes]:
    """The dataset that disk → disk gives."""
    out = original.with_name("dataset")
    prepare(options(str(original), str(out)))
    return contents(str(out))


@pytest.mark.parametrize("workers", [1, 2])
def test_preparing_in_object_storage_gives_the_same_bytes(
    store: str, original: Path, expected: dict[str, bytes], workers: int
) -> None:
    upload(original, f"{store}/original")
    prepare(options(f"{store}/original", f"{store}/dataset", workers))
    assert contents(f"{store}/dataset") == expected
    assert [path for path in list_files(store) if not path.startswith(("original/", "dataset/"))] == []


def test_a_dataset_in_object_storage_is_verified_shown_audited_and_mended(
    store: str,
    original: Path,
    expected: dict[str, bytes],
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    wanted = options(str(original), f"{store}/dataset")
    manifest = prepare(wanted)
    assert contents(f"{store}/dataset") == expected
    with caplog.at_level("INFO", "data_prep"):
        assert prepare(wanted) == manifest
    assert "finished already" in caplog.text
    main(["data", "verify", f"{store}/dataset"])
    assert "whole" in capsys.readouterr().out
    key = Dataset.open(f"{store}/dataset").rows[0].key
    main(["data", "show", f"{store}/dataset", "--key", key])
    assert key in capsys.readouterr().out
    upload(original / "coco/val2017", f"{store}/val2017")
    main(["data", "audit", f"{store}/dataset", "--against", f"{store}/val2017", "--workers", "2"])
    main(["data", "browse", f"{store}/dataset", "--out", f"{store}/page.html"])
    assert b"<html" in read(f"{store}/page.html")
    shard = f"{store}/dataset/{manifest.shards[0].path}"
    damaged = bytearray(read(shard))
    damaged[700] ^= 1
    write(shard, bytes(damaged))
    assert find_problems(f"{store}/dataset") == [f"{shard}: its bytes are not those that were written"]
    remove(shard)
    assert find_problems(f"{store}/dataset") == [f"{shard}: is missing"]
    assert prepare(wanted) == manifest
    assert contents(f"{store}/dataset") == expected


def test_a_folder_with_other_objects_is_not_written_to(store: str, original: Path) -> None:
    write(f"{store}/dataset/thesis.txt", b"years of work")
    with pytest.raises(DataError, match="holds other files"):
        prepare(options(str(original), f"{store}/dataset"))
    assert list_files(store) == ["dataset/thesis.txt"]


def test_an_endpoint_that_fails_one_request_in_five_gives_the_same_bytes(
    store: str,
    s3_endpoint: str,
    flaky: FlakyWay,
    use_endpoint: Callable[[str], None],
    original: Path,
    expected: dict[str, bytes],
) -> None:
    use_endpoint(s3_endpoint)
    upload(original, f"{store}/original")
    use_endpoint(flaky.url)
    prepare(options(f"{store}/original", f"{store}/dataset"))
    assert flaky.failures > 20
    use_endpoint(s3_endpoint)
    assert contents(f"{store}/dataset") == expected


def test_an_outage_fails_the_job_rejects_nothing_and_a_second_run_completes_it(
    store: str,
    s3_endpoint: str,
    flaky: FlakyWay,
    use_endpoint: Callable[[str], None],
    original: Path,
    expected: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use_endpoint(s3_endpoint)
    upload(original, f"{store}/original")
    with monkeypatch.context() as patched:
        patched.setattr(s3_client, "ATTEMPTS", 3)
        use_endpoint(flaky.url)
        flaky.shards = 2
        with pytest.raises(StorageError, match=r"object storage failed.*try again"):
            prepare(options(f"{store}/original", f"{store}/dataset"))
        with pytest.raises(StorageError):  # an image that cannot be read now is not a broken one
            read_image_file(SourceImage("coco", 0, 1, 8, 8, "train", f"{store}/original", "a.jpg", "a.json", 0))
    use_endpoint(s3_endpoint)
    finished = [path for path in list_files(f"{store}/dataset") if path.endswith(".tar")]
    assert 0 < len(finished) < len([path for path in expected if path.endswith(".tar")])
    prepare(options(f"{store}/original", f"{store}/dataset"))
    assert contents(f"{store}/dataset") == expected
