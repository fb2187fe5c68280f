"""Object storage does what disk does, says clearly what is wrong, and bears an endpoint that often fails."""

import hashlib
import multiprocessing
import os
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from data_prep.storage import s3_client
from data_prep.storage.errors import ConfigError, DataError, StorageError
from data_prep.storage.read_ahead import read_ahead
from data_prep.storage.storage import (
    create,
    create_folder,
    exists,
    finder,
    info,
    is_folder,
    list_files,
    local_copy,
    read,
    read_range,
    remove,
    remove_folder,
    sha256,
    write,
)
from tests.services.object_storage import FlakyWay, free_ports

pytestmark = pytest.mark.services

MEGABYTE = 1 << 20


def test_what_is_written_is_read(store: str) -> None:
    write(f"{store}/a/b.bin", b"12345")
    assert read(f"{store}/a/b.bin") == b"12345"
    assert read_range(f"{store}/a/b.bin", 1, 3) == b"234"
    assert read_range(f"{store}/a/b.bin", 5, 0) == b""
    assert sha256(f"{store}/a/b.bin") == hashlib.sha256(b"12345").hexdigest()
    write(f"{store}/empty", b"")
    assert read(f"{store}/empty") == b""


@pytest.mark.parametrize(("offset", "length"), [(3, 4), (5, 1), (100, 1)])
def test_a_range_beyond_the_end_is_refused_as_on_disk(store: str, tmp_path: Path, offset: int, length: int) -> None:
    for place in (store, str(tmp_path)):
        write(f"{place}/short", b"12345")
        with pytest.raises(DataError, match=rf"short: ends at byte \d+, expected {offset + length}; it was cut short"):
            read_range(f"{place}/short", offset, length)


def test_a_file_whose_writing_fails_is_not_there(store: str) -> None:
    write(f"{store}/a", b"old")
    for name in ("a", "b"):
        with pytest.raises(ZeroDivisionError), create(f"{store}/{name}") as file:
            file.write(b"ne")
            raise ZeroDivisionError
    assert (read(f"{store}/a"), list_files(store)) == (b"old", ["a"])


def test_files_travel_in_parts(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_client, "PART_BYTES", 5 * MEGABYTE)  # the least that S3 allows
    data = os.urandom(12 * MEGABYTE)
    with create(f"{store}/big") as file:
        for start in range(0, len(data), MEGABYTE):
            file.write(data[start : start + MEGABYTE])
        assert not exists(f"{store}/big")
    found = info(f"{store}/big")
    assert found is not None
    assert found.bytes == len(data)
    assert str(found.version).endswith("-3")  # S3 gives the number of parts away
    assert read_range(f"{store}/big", 5 * MEGABYTE - 7, 20) == data[5 * MEGABYTE - 7 : 5 * MEGABYTE + 13]
    assert sha256(f"{store}/big") == hashlib.sha256(data).hexdigest()
    assert local_copy(f"{store}/big").read_bytes() == data


def test_a_copy_is_made_once_for_each_version(store: str, tmp_path: Path) -> None:
    write(f"{store}/a.json", b"one")
    copy = local_copy(f"{store}/a.json")
    assert (copy.name, copy.is_relative_to(tmp_path / "scratch")) == ("a.json", True)
    before = copy.stat().st_mtime_ns
    assert local_copy(f"{store}/a.json") == copy
    assert copy.stat().st_mtime_ns == before
    write(f"{store}/a.json", b"two")
    assert local_copy(f"{store}/a.json").read_bytes() == b"two"
    with pytest.raises(DataError, match=r"none\.json: no such file"):
        local_copy(f"{store}/none.json")


def test_files_are_looked_up_listed_and_removed_as_on_disk(store: str, tmp_path: Path) -> None:
    for place in (store, str(tmp_path / "folder")):
        for path in ("b/2", "b/10", "a", "ab/c", "a b/ü.jpg"):
            write(f"{place}/{path}", b"x")
        assert list_files(place) == ["a", "a b/ü.jpg", "ab/c", "b/10", "b/2"]
        assert list_files(f"{place}/b/") == ["10", "2"]
        assert list_files(f"{place}/nowhere") == []
        find = finder(place)
        for path in ("b/10", "./b//10", "a b/ü.jpg"):
            assert find(path) == info(f"{place}/{path}") != None  # noqa: E711  one line for all three
        assert [find(path) for path in ("nothing", "b", "b/1")] == [None, None, None]
        assert [exists(f"{place}/{path}") for path in ("a", "b", "b/2", "c", "b/1")] == [True, True, True, False, False]
        assert [is_folder(f"{place}/{path}") for path in ("a", "b", "b/2", "c")] == [False, True, False, False]
        for _ in range(2):
            remove(f"{place}/b/2")
            remove_folder(f"{place}/ab")
        assert list_files(place) == ["a", "a b/ü.jpg", "b/10"]


def test_a_long_folder_is_listed_and_removed_whole(store: str) -> None:
    client = s3_client.client()
    bucket, _, prefix = store.removeprefix("s3://").partition("/")
    for number in range(1005):
        client.put_object(Bucket=bucket, Key=f"{prefix}/folder/{number:04d}", Body=b"")
    write(f"{store}/folder-beside", b"")
    assert list_files(f"{store}/folder") == [f"{number:04d}" for number in range(1005)]
    remove_folder(f"{store}/folder")
    assert list_files(store) == ["folder-beside"]


def test_a_forked_process_has_a_connection_of_its_own(store: str) -> None:
    write(f"{store}/a", b"12345")
    before = s3_client.client()
    with multiprocessing.get_context("fork").Pool(2) as processes:
        assert processes.map(read, [f"{store}/a"] * 20) == [b"12345"] * 20
        assert processes.apply(_client_is, (id(before),)) is False
    assert s3_client.client() is before


def _client_is(number: int) -> bool:
    return id(s3_client.client()) == number


def test_files_read_ahead_are_what_reading_gives(store: str, tmp_path: Path) -> None:
    for place in (store, str(tmp_path)):
        for number in range(40):
            write(f"{place}/{number}", b"%d" % number)
        groups = [[f"{place}/{number}", f"{place}/none"] for number in range(40)]
        with closing(read_ahead(groups)) as readers:
            for number, read_file in enumerate(readers):
                assert read_file(f"{place}/{number}") == b"%d" % number
                assert read_file(f"{place}/0") == b"0"  # also what is not of the group
                with pytest.raises(DataError, match=f"^{place}/none: no such file$"):
                    read_file(f"{place}/none")
        assert number == 39


def test_a_folder_is_replaced_when_it_is_filled(store: str) -> None:
    write(f"{store}/folder/stale/x", b"")
    write(f"{store}/folder/manifest.json", b"old")
    with pytest.raises(ZeroDivisionError), create_folder(f"{store}/folder", "manifest.json") as folder:
        raise ZeroDivisionError
    assert list_files(f"{store}/folder") == ["manifest.json", "stale/x"]
    with create_folder(f"{store}/folder", "manifest.json") as folder:
        for path in ("z/new", "manifest.json"):
            write(folder / path, b"new")
    assert list_files(f"{store}/folder") == ["manifest.json", "z/new"]
    assert read(f"{store}/folder/manifest.json") == b"new"


def test_the_marker_of_a_folder_comes_last(store: str) -> None:
    write(f"{store}/folder/manifest.json", b"old")
    with pytest.raises(OSError), create_folder(f"{store}/folder", "manifest.json") as folder:
        write(folder / "manifest.json", b"new")
        (folder / "z").symlink_to(folder / "nowhere")
    assert not exists(f"{store}/folder/manifest.json")


def test_what_is_missing_is_named(store: str) -> None:
    for look in (read, sha256):
        with pytest.raises(DataError, match=f"^{store}/none: no such file$"):
            look(f"{store}/none")
    with pytest.raises(ConfigError, match="names a bucket, not a file"):
        write("s3://bucket/", b"")


@pytest.mark.parametrize("look", [read, sha256, exists, info, list_files, is_folder, local_copy, remove_folder])
def test_a_missing_bucket_is_named(store: str, look: Callable[[str], object]) -> None:
    with pytest.raises(ConfigError, match=r"^s3://no-such-bucket/a: there is no bucket no-such-bucket"):
        look("s3://no-such-bucket/a")


def test_nothing_can_be_written_to_a_missing_bucket(store: str) -> None:
    with pytest.raises(ConfigError, match="there is no bucket no-such-bucket"):
        write("s3://no-such-bucket/a", b"1")


def test_a_name_that_no_bucket_can_have_is_refused(store: str) -> None:
    with pytest.raises(ConfigError, match="write s3://BUCKET/PREFIX"):
        read("s3:///a")


def test_wrong_credentials_are_told_apart(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("AWS_ACCESS_KEY_ID", "nobody"), ("AWS_SECRET_ACCESS_KEY", "wrong")):
        with monkeypatch.context() as patched:
            patched.setenv(name, value)
            s3_client.client.cache_clear()
            with pytest.raises(ConfigError, match=r"does not accept the credentials \((InvalidAcc|SignatureD)"):
                read(f"{store}/a")
            with pytest.raises(ConfigError, match="access denied"):  # an answer without a body cannot say more
                exists(f"{store}/a")


def test_no_credentials_and_no_such_profile_name_the_variables(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    s3_client.client.cache_clear()
    with pytest.raises(ConfigError, match=r"no credentials.*AWS_ACCESS_KEY_ID"):
        read(f"{store}/a")
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    s3_client.client.cache_clear()
    with pytest.raises(ConfigError, match=r"nobody.*AWS_PROFILE"):
        read(f"{store}/a")


def test_an_endpoint_where_nobody_listens_is_named_soon(use_endpoint: Callable[[str], None]) -> None:
    use_endpoint(f"http://127.0.0.1:{free_ports(1)[0]}")
    start = time.monotonic()
    with pytest.raises(StorageError, match=r"does not answer.*AWS_ENDPOINT_URL"):
        read("s3://bucket/a")
    assert time.monotonic() - start < 10


def test_an_endpoint_that_is_no_url_is_named(use_endpoint: Callable[[str], None]) -> None:
    use_endpoint("nonsense")
    with pytest.raises(ConfigError, match=r"nonsense.*AWS_ENDPOINT_URL looks like"):
        read("s3://bucket/a")


def test_an_endpoint_that_fails_one_request_in_five_is_borne(
    store: str, flaky: FlakyWay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_client, "PART_BYTES", 5 * MEGABYTE)
    data = os.urandom(16 * MEGABYTE)
    write(f"{store}/big", data)
    for _ in range(5):
        assert read(f"{store}/big") == data
    assert local_copy(f"{store}/big").read_bytes() == data
    assert flaky.failures >= 3
