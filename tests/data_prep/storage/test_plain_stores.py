"""Object storage that lacks what AWS has: checksums in headers, removing many objects at once, a region."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from data_prep.storage import s3_client, s3_names
from data_prep.storage.errors import ConfigError, StorageError
from data_prep.storage.storage import exists, list_files, local_copy, read, read_range, remove_folder, sha256, write
from tests.data_prep.small_s3 import SmallStore
from tests.readme import ROOT

MEGABYTE = 1 << 20


def test_a_service_without_checksums_is_sent_none(plain_store: SmallStore) -> None:
    plain_store.knows_checksums = False
    write("s3://bucket/a/b", b"12345")
    write("s3://bucket/a/big", bytes(17 * MEGABYTE))
    assert read("s3://bucket/a/b") == b"12345"
    assert local_copy("s3://bucket/a/big").read_bytes() == bytes(17 * MEGABYTE)
    remove_folder("s3://bucket/a")
    assert list_files("s3://bucket/a") == []


def test_checksums_that_are_asked_for_are_sent_and_named_where_they_are_refused(
    plain_store: SmallStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_REQUEST_CHECKSUM_CALCULATION", "when_supported")
    s3_client.client.cache_clear()
    write("s3://bucket/a", b"12345")
    assert "x-amz-checksum-crc32" in plain_store.seen("PUT")[0].headers
    plain_store.knows_checksums = False
    with pytest.raises(StorageError, match=r"set AWS_REQUEST_CHECKSUM_CALCULATION=when_required$"):
        write("s3://bucket/a", b"12345")


def test_a_profile_may_ask_for_checksums(plain_store: SmallStore, tmp_path: Path) -> None:
    (tmp_path / "AWS_CONFIG_FILE").write_text("[default]\nrequest_checksum_calculation = when_supported\n")
    s3_client.client.cache_clear()
    write("s3://bucket/a", b"12345")
    assert "x-amz-checksum-crc32" in plain_store.seen("PUT")[0].headers


def test_where_objects_cannot_be_removed_together_each_is_removed(plain_store: SmallStore) -> None:
    plain_store.knows_bulk_delete = False
    for number in range(20):
        write(f"s3://bucket/folder/{number}", b"x")
    write("s3://bucket/folder-beside", b"x")
    remove_folder("s3://bucket/folder")
    assert set(plain_store.objects) == {"bucket/folder-beside"}


def test_all_parts_but_the_last_are_of_one_size(plain_store: SmallStore) -> None:
    """As Cloudflare's R2 demands."""
    write("s3://bucket/big", bytes(53 * MEGABYTE))
    parts = [len(part) for _, part in sorted(plain_store.parts["bucket/big"].items())]
    assert parts == [s3_client.PART_BYTES] * 3 + [5 * MEGABYTE]


def test_large_objects_are_fetched_in_ranges(plain_store: SmallStore) -> None:
    data = os.urandom(40 * MEGABYTE)
    write("s3://bucket/big", data)
    assert local_copy("s3://bucket/big").read_bytes() == data
    assert sorted(request.headers["range"] for request in plain_store.seen("GET")) == [
        "bytes=0-16777215",
        "bytes=16777216-33554431",
        "bytes=33554432-",
    ]


def test_an_answer_that_breaks_off_goes_on_where_it_ended(plain_store: SmallStore) -> None:
    data = os.urandom(5 * MEGABYTE)
    write("s3://bucket/big", data)
    plain_store.cut_after = 2 * MEGABYTE
    assert read("s3://bucket/big") == data
    asked = [request.headers for request in plain_store.seen("GET")]
    assert [headers.get("range") for headers in asked] == [None, "bytes=2097152-", "bytes=4194304-"]
    assert len({headers["if-match"] for headers in asked[1:]}) == 1


def test_an_object_replaced_while_it_is_read_is_told(plain_store: SmallStore, monkeypatch: pytest.MonkeyPatch) -> None:
    write("s3://bucket/big", bytes(3 * MEGABYTE))
    plain_store.cut_after = MEGABYTE

    def replace(seconds: float) -> None:
        plain_store.objects["bucket/big"] = b"another"

    monkeypatch.setattr("data_prep.storage.s3_reading.time.sleep", replace)
    with pytest.raises(StorageError, match="was replaced while it was read"):
        read("s3://bucket/big")


def test_a_service_that_sends_no_ranges_is_refused(plain_store: SmallStore) -> None:
    write("s3://bucket/a", b"12345")
    plain_store.heeds_ranges = False
    assert read("s3://bucket/a") == b"12345"
    with pytest.raises(StorageError, match="sends no ranges"):
        read_range("s3://bucket/a", 1, 3)


def test_the_bucket_is_in_the_path_unless_the_profile_says_otherwise(
    plain_store: SmallStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", plain_store.url.replace("127.0.0.1", "localhost"))
    s3_client.client.cache_clear()
    write("s3://bucket/a", b"12345")
    assert (plain_store.requests[-1].host.split(":")[0], plain_store.requests[-1].path) == ("localhost", "/bucket/a")
    (tmp_path / "AWS_CONFIG_FILE").write_text("[default]\ns3 =\n  addressing_style = virtual\n")
    s3_client.client.cache_clear()
    url = s3_client.client().generate_presigned_url("get_object", Params={"Bucket": "bucket", "Key": "a"})
    assert url.startswith("http://bucket.localhost")


@pytest.mark.parametrize("where", ["host", "path"])
def test_a_bucket_in_the_endpoint_is_told(plain_store: SmallStore, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """Its requests for `/mine/…` are taken for objects `mine/…` of the bucket."""
    find = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda _, *rest, **options: find("127.0.0.1", *rest, **options))
    port = plain_store.url.removeprefix("http://127.0.0.1")
    endpoint = f"http://mine.example.org{port}" if where == "host" else f"{plain_store.url}/mine"
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    s3_client.client.cache_clear()
    for look in (read, exists, sha256, list_files):
        with pytest.raises(ConfigError, match=r"names the bucket already; leave the bucket out"):
            look("s3://mine/a")
    if where == "host":  # a bucket that is called as its host is none that stands in the endpoint
        plain_store.buckets.add("mine")
        s3_names._refuse_bucket_in_endpoint.cache_clear()
        write("s3://mine/a", b"1")
        assert plain_store.objects == {"mine/a": b"1"}


def test_without_a_region_there_is_one(plain_store: SmallStore) -> None:
    write("s3://bucket/a", b"1")
    assert "/us-east-1/s3/" in plain_store.requests[-1].headers["authorization"]


@pytest.mark.parametrize(
    "writing",
    [
        "with create(uri) as file: file.write(bytes(10_000))",
        "with create_folder(uri, 'marker') as folder: (folder / 'file').write_bytes(bytes(10_000))",
    ],
)
def test_a_full_scratch_disk_is_told_with_the_remedy(plain_store: SmallStore, writing: str) -> None:
    """As a quota does; in a process of its own, as the limit stays."""
    program = f"""
import resource
from data_prep.storage.storage import create, create_folder
uri = "s3://bucket/a"
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
{writing}
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=ROOT)
    scratch = os.environ["MASKX_SCRATCH"]
    expected = f"s3://bucket/a: cannot be written, there is no room below {scratch} (File too large); let MASKX_SCRATCH"
    assert f"StorageError: {expected}" in done.stderr
    assert plain_store.objects == {}


def test_a_copy_that_a_power_failure_has_cut_is_made_again(plain_store: SmallStore) -> None:
    write("s3://bucket/a", b"12345")
    copy = local_copy("s3://bucket/a")
    copy.write_bytes(b"12")
    assert local_copy("s3://bucket/a").read_bytes() == b"12345"
    plain_store.requests.clear()
    local_copy("s3://bucket/a")
    assert plain_store.seen("GET") == []
