"""The connection to object storage: S3 itself or anything that speaks its protocol.

Endpoint, region, credentials and profile come from where every AWS tool takes them: `AWS_ENDPOINT_URL_S3` or
`AWS_ENDPOINT_URL`, `AWS_REGION`, `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, `AWS_PROFILE`, the files in `~/.aws`,
or the machine's role.
"""

import os
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3.session
from botocore.config import Config
from s3transfer.manager import TransferConfig, TransferManager

from data_prep.storage.s3_errors import UNREACHED

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ATTEMPTS = 10
"""How often a request is tried, with growing, random pauses of up to 20 seconds between."""

FIRST_ATTEMPTS = 3
"""How often if nobody has answered at the endpoint yet: its address is wrong rather than its server in trouble."""

PART_BYTES = 16 << 20
"""Files of more bytes travel in parts of so many, some at a time."""


@cache
def client() -> "S3Client":
    """This process's client, which its threads may share."""
    config = Config(
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        connect_timeout=10,
        read_timeout=60,
        max_pool_connections=32,
    )
    made = boto3.session.Session().client("s3", config=config)
    made.meta.events.register_first("needs-retry.s3", _GiveUpEarly())
    return made


# A forked process must not talk through its parent's connections.
os.register_at_fork(after_in_child=client.cache_clear)


class _GiveUpEarly:
    """Until the endpoint has answered once, few attempts to connect are enough to say that it does not."""

    def __init__(self) -> None:
        self._answered = False

    def __call__(self, response: object, attempts: int, caught_exception: Exception | None, **_: Any) -> None:
        self._answered = self._answered or response is not None
        if isinstance(caught_exception, UNREACHED) and not self._answered and attempts >= FIRST_ATTEMPTS:
            raise caught_exception


def transfers() -> TransferManager:
    """Sends and fetches whole files in parts, four at a time, each tried as often as any request; to be closed."""
    config = TransferConfig(
        multipart_threshold=PART_BYTES,
        multipart_chunksize=PART_BYTES,
        max_request_concurrency=4,
        max_in_memory_upload_chunks=4,
        num_download_attempts=ATTEMPTS,
    )
    return TransferManager(client(), config)
