"""Objects in S3-compatible storage, `s3://bucket/key`. `storage.py` says what each function is for.

A folder is a prefix: all objects whose keys begin with it. An object appears when its upload is complete, never a part
of it.
"""

import hashlib
import posixpath
import random
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from botocore.exceptions import ClientError

from data_prep.storage import disk
from data_prep.storage.backend import FileInfo
from data_prep.storage.errors import ConfigError, DataError, StorageError
from data_prep.storage.s3_client import ATTEMPTS, client, transfers
from data_prep.storage.s3_errors import CUT, error_code, explained
from data_prep.storage.scratch import locked, require_room, scratch_folder

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import GetObjectRequestTypeDef, ObjectIdentifierTypeDef

_PIECE = 1 << 20
_REMOVED_AT_ONCE = 1000
_NO_SUCH_OBJECT = {"404", "NoSuchKey", "NotFound"}
_BEYOND_THE_END = {"416", "InvalidRange"}


def _split(uri: str) -> tuple[str, str]:
    """Bucket and key; the key is empty for the bucket itself."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    key = posixpath.normpath(f"/{key}").lstrip("/")
    return bucket, key


def _split_file(uri: str) -> tuple[str, str]:
    bucket, key = _split(uri)
    if not key:
        raise ConfigError(f"{uri}: names a bucket, not a file; write s3://BUCKET/PREFIX")
    return bucket, key


def read(uri: str) -> bytes:
    """All bytes of an object."""
    return b"".join(_pieces(uri, 0))


def read_range(uri: str, offset: int, length: int) -> bytes:
    """At most `length` bytes: fewer where the object ends before."""
    return b"".join(_pieces(uri, offset, offset + length)) if length else b""


def sha256(uri: str) -> str:
    """Of the object's bytes, a piece at a time."""
    digest = hashlib.sha256()
    for piece in _pieces(uri, 0):
        digest.update(piece)
    return digest.hexdigest()


def _pieces(uri: str, start: int, end: int | None = None) -> Iterator[bytes]:
    """The bytes from `start` to before `end`; an answer that breaks off is asked for again from where it ended."""
    bucket, key = _split_file(uri)
    request: GetObjectRequestTypeDef = {"Bucket": bucket, "Key": key}
    position, failures = start, 0
    with explained(uri):
        while True:
            if position > 0 or end is not None:
                request["Range"] = f"bytes={position}-{'' if end is None else end - 1}"
            try:
                answer = client().get_object(**request)
            except ClientError as error:
                if error_code(error) in _BEYOND_THE_END:
                    return
                raise
            request["IfMatch"] = answer["ETag"]  # what is taken up again must be the same object
            try:
                for piece in answer["Body"].iter_chunks(_PIECE):
                    yield piece
                    position += len(piece)
                    failures = 0
                return
            except CUT:
                failures += 1
                if failures == ATTEMPTS:
                    raise
                time.sleep(random.uniform(0, min(2**failures, 20)))


@contextmanager
def create(uri: str) -> Iterator[BinaryIO]:
    """A temporary file that is uploaded when the block has ended."""
    bucket, key = _split_file(uri)
    with tempfile.TemporaryFile(dir=scratch_folder()) as file:
        yield file
        file.seek(0)
        with explained(uri), transfers() as manager:
            manager.upload(file, bucket, key).result()


@contextmanager
def create_folder(uri: str, marker: str) -> Iterator[Path]:
    """A temporary folder whose files are uploaded when the block has ended, the marker last."""
    bucket, key = _split_file(uri)
    with tempfile.TemporaryDirectory(dir=scratch_folder()) as folder:
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
    """The version is the object's ETag, which follows from its bytes."""
    bucket, key = _split(uri)
    if not key:
        return None
    with explained(uri):
        try:
            found = client().head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if error_code(error) not in _NO_SUCH_OBJECT:
                raise
            _require_bucket(bucket)
            return None
    return FileInfo(found["ContentLength"], found["ETag"].strip('"'))


@cache
def _require_bucket(bucket: str) -> None:
    """To a question about one object, a bucket that is not there answers like one without the object."""
    try:
        client().head_bucket(Bucket=bucket)
    except ClientError as error:
        if error_code(error) in {"404", "NoSuchBucket"}:
            error.response["Error"]["Code"] = "NoSuchBucket"
            raise


def finder(folder: str) -> Callable[[str], FileInfo | None]:
    """Lists the folder when the first file is asked for."""

    @cache
    def listed() -> dict[str, FileInfo]:
        return dict(_list(folder))

    prefix = _prefix(folder)
    return lambda path: listed().get(prefix + posixpath.normpath(path))


def list_files(folder: str) -> list[str]:
    """Relative paths."""
    prefix = _prefix(folder)
    return sorted(key.removeprefix(prefix) for key, _ in _list(folder) if not key.endswith("/"))


def _prefix(folder: str) -> str:
    _, key = _split(folder)
    return f"{key}/" if key else ""


def _list(folder: str) -> Iterator[tuple[str, FileInfo]]:
    """Keys below a folder, with those of empty objects `…/` that some tools make in place of folders."""
    bucket, _ = _split(folder)
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
    bucket, _ = _split(uri)
    with explained(uri):
        found = client().list_objects_v2(Bucket=bucket, Prefix=_prefix(uri), MaxKeys=1)
    return found["KeyCount"] > 0


def remove(uri: str) -> None:
    """Remove an object."""
    bucket, key = _split_file(uri)
    with explained(uri):
        client().delete_object(Bucket=bucket, Key=key)


def remove_folder(uri: str) -> None:
    """Remove all objects below a prefix."""
    _split_file(uri)
    _remove_keys(uri, [key for key, _ in _list(uri)])


def _remove_keys(uri: str, keys: Iterable[str]) -> None:
    bucket, _ = _split(uri)
    keys = sorted(keys)
    for start in range(0, len(keys), _REMOVED_AT_ONCE):
        named: list[ObjectIdentifierTypeDef] = [{"Key": key} for key in keys[start : start + _REMOVED_AT_ONCE]]
        with explained(uri):
            answer = client().delete_objects(Bucket=bucket, Delete={"Objects": named, "Quiet": True})
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
    with locked(copy):
        if not copy.exists():
            require_room(uri, found.bytes)
            bucket, key = _split_file(uri)
            with explained(uri), transfers() as manager:
                manager.download(bucket, key, str(copy)).result()
    return copy
