"""Bytes of objects, whole or a range: an answer that breaks off is asked for again from where it ended."""

import hashlib
import random
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from data_prep.storage.errors import StorageError
from data_prep.storage.s3_client import ATTEMPTS, client
from data_prep.storage.s3_errors import CUT, error_code, explained
from data_prep.storage.s3_names import split_file

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef, GetObjectRequestTypeDef

_PIECE = 1 << 20
_BEYOND_THE_END = {"416", "InvalidRange"}


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
    bucket, key = split_file(uri)
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
            _require_range(uri, request, answer)
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


def _require_range(uri: str, request: "GetObjectRequestTypeDef", answer: "GetObjectOutputTypeDef") -> None:
    """A service that heeds no range sends all of the object: its bytes would be taken for others."""
    wanted = request.get("Range")
    if wanted and not answer.get("ContentRange", "").startswith(f"{wanted.partition('-')[0].replace('=', ' ')}-"):
        raise StorageError(f"{uri}: the service at AWS_ENDPOINT_URL sends no ranges of an object, which datasets need")
