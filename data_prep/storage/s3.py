"""Objects in S3-compatible storage, `s3://bucket/key`. `storage.py` says what each function is for.

A folder is a prefix: all objects whose keys begin with it. An object appears when its upload is complete, never a part
of it.
"""

import hashlib
import posixpath
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from botocore.exceptions import ClientError

from data_prep.storage import disk
from data_prep.storage.backend import FileInfo, Finder
from data_prep.storage.errors import DataError, StorageError
from data_prep.storage.s3_client import client, transfers
from data_prep.storage.s3_errors import error_code, explained
from data_prep.storage.s3_names import require_bucket, split, split_file
from data_prep.storage.s3_reading import read, read_range, sha256
from data_prep.storage.scratch import locked, require_room, room_for, scratch_folder, use

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import ObjectIdentifierTypeDef

__all__ = [
    "create",
    "create_folder",
    "exists",
    "finder",
    "info",
    "is_folder",
    "list_files",
    "local_copy",
    "read",
    "read_range",
    "remove",
    "remove_folder",
    "sha256",
]
_REMOVED_AT_ONCE = 1000
_THREADS = 8
_NO_SUCH_OBJECT = {"404", "NoSuchKey", "NotFound"}


@contextmanager
def create(uri: str) -> Iterator[BinaryIO]:
    """A temporary file that is uploaded when the block has ended."""
    bucket, key = split_file(uri)
    with room_for(uri), tempfile.TemporaryFile(dir=scratch_folder()) as file:
        yield file
        file.seek(0)
        with explained(uri), transfers() as manager:
            manager.upload(file, bucket, key).result()


@contextmanager
def create_folder(uri: str, marker: str) -> Iterator[Path]:
    """A temporary folder whose files are uploaded when the block has ended, the marker last."""
    bucket, key = split_file(uri)
    with room_for(uri), tempfile.TemporaryDirectory(dir=scratch_folder()) as folder:
        yield Path(folder)
        paths = disk.list_files(folder)
        remove(f"{uri}/{marker}")
        _remove_keys(uri, {each for each, _ in _list(uri)} - {f"{key}/{path}" for path in paths})
        with explained(uri), transfers() as manager:
            for last in (False, True):
                chosen = [path for path in paths if (path == marker) is last]
                for upload in [manager.upload(f"{folder}/{path}", bucket, f"{key}/{path}") for path in chosen]:
                    upload.result()


def info(uri: str) -> FileInfo | None:
    """The version is the object's ETag: other bytes have another one. So may the same bytes, uploaded in other parts or
    to a bucket that encrypts with SSE-KMS."""
    bucket, key = split(uri)
    if not key:
        return None
    with explained(uri):
        try:
            found = client().head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if error_code(error) not in _NO_SUCH_OBJECT:
                raise
            require_bucket(bucket)
            return None
    return FileInfo(found["ContentLength"], found["ETag"].strip('"'))


class _Finder:
    """Lists the folder when the first file is asked for."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._prefix = _prefix(folder)

    @cached_property
    def _listed(self) -> dict[str, FileInfo]:
        return dict(_list(self._folder))

    def __call__(self, path: str) -> FileInfo | None:
        return self._listed.get(self._prefix + posixpath.normpath(path))

    def files(self) -> list[str]:
        return _below(self._prefix, self._listed)


def finder(folder: str) -> Finder:
    """Lists the folder when the first file is asked for."""
    return _Finder(folder)


def list_files(folder: str) -> list[str]:
    """Relative paths."""
    return _below(_prefix(folder), (key for key, _ in _list(folder)))


def _below(prefix: str, keys: Iterable[str]) -> list[str]:
    return sorted(key.removeprefix(prefix) for key in keys if not key.endswith("/"))


def _prefix(folder: str) -> str:
    _, key = split(folder)
    return f"{key}/" if key else ""


def _list(folder: str) -> Iterator[tuple[str, FileInfo]]:
    """Keys below a folder, with those of empty objects `…/` that some tools make in place of folders."""
    bucket, _ = split(folder)
    with explained(folder):
        pages = client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=_prefix(folder))
        for page in pages:
            for found in page.get("Contents", []):
                yield found["Key"], FileInfo(found["Size"], found["ETag"].strip('"'))


def exists(uri: str) -> bool:
    """An object or a folder."""
    return info(uri) is not None or is_folder(uri)


def is_folder(uri: str) -> bool:
    """A prefix with an object."""
    bucket, _ = split(uri)
    with explained(uri):
        found = client().list_objects_v2(Bucket=bucket, Prefix=_prefix(uri), MaxKeys=1)
    return found["KeyCount"] > 0


def remove(uri: str) -> None:
    """Remove an object."""
    bucket, key = split_file(uri)
    with explained(uri):
        client().delete_object(Bucket=bucket, Key=key)


def remove_folder(uri: str) -> None:
    """Remove all objects below a prefix."""
    split_file(uri)
    _remove_keys(uri, [key for key, _ in _list(uri)])


def _remove_keys(uri: str, keys: Iterable[str]) -> None:
    """By thousands; one by one where the service knows no other way, or wants it asked in its own."""
    bucket, _ = split(uri)
    keys = sorted(keys)
    for start in range(0, len(keys), _REMOVED_AT_ONCE):
        some = keys[start : start + _REMOVED_AT_ONCE]
        named: list[ObjectIdentifierTypeDef] = [{"Key": key} for key in some]
        with explained(uri):
            try:
                answer = client().delete_objects(Bucket=bucket, Delete={"Objects": named, "Quiet": True})
            except ClientError:
                with ThreadPoolExecutor(_THREADS) as threads:
                    list(threads.map(lambda key: client().delete_object(Bucket=bucket, Key=key), some))
                continue
        for error in answer.get("Errors", []):
            raise StorageError(
                f"s3://{bucket}/{error['Key']}: could not be removed ({error['Code']}); remove it by hand"
            )


def local_copy(uri: str) -> Path:
    """A copy in the scratch folder, by endpoint, URI and version; processes of one machine share it."""
    found = info(uri)
    if found is None:
        raise DataError(f"{uri}: no such file")
    name = hashlib.sha256(f"{client().meta.endpoint_url}\n{uri}\n{found.version}".encode()).hexdigest()[:24]
    copy = scratch_folder() / "copies" / name / posixpath.basename(uri)
    use(copy.parent)
    with locked(copy):
        if not copy.exists() or copy.stat().st_size != found.bytes:  # a power failure may leave a part
            require_room(uri, found.bytes)
            bucket, key = split_file(uri)
            with explained(uri), transfers() as manager:
                manager.download(bucket, key, str(copy)).result()
    return copy
