"""The connection to object storage: S3 itself or anything that speaks its protocol.

Endpoint, region, credentials and profile come from where every AWS tool takes them: `AWS_ENDPOINT_URL_S3` or
`AWS_ENDPOINT_URL`, `AWS_REGION`, `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, `AWS_PROFILE`, the files in `~/.aws`,
or the machine's role. So do the region (by default us-east-1 where there is an endpoint, as compatible services take
any), and how a bucket is addressed: with an endpoint in the path, unless `~/.aws/config` says
`s3 = addressing_style = virtual`.
"""

import os
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3.session
import botocore.session
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
"""Larger files travel in parts of this many bytes, several at a time."""


@cache
def client() -> "S3Client":
    """This process's client, which its threads may share."""
    core = botocore.session.Session()
    config = Config(
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        connect_timeout=10,
        read_timeout=60,
        max_pool_connections=32,
    ).merge(Config(**_checksums(core.get_scoped_config())))
    made = boto3.session.Session(botocore_session=core).client("s3", config=config)
    made.meta.events.register_first("needs-retry.s3", _GiveUpEarly())
    return made


def _checksums(profile: Mapping[str, Any]) -> dict[str, Any]:
    """Checksums only where S3 requires them, as many compatible services refuse them, unless the user has chosen.

    Bytes are proved by the lengths and SHA-256 of the manifests.
    """
    kinds = ("request_checksum_calculation", "response_checksum_validation")
    chosen = [kind for kind in kinds if f"AWS_{kind.upper()}" in os.environ or kind in profile]
    return {kind: "when_required" for kind in kinds if kind not in chosen}


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
    """Sends and fetches whole files in parts, eight at a time, each tried as often as any request; to be closed."""
    config = TransferConfig(
        multipart_threshold=PART_BYTES,
        multipart_chunksize=PART_BYTES,
        max_request_concurrency=8,
        max_in_memory_upload_chunks=4,
        num_download_attempts=ATTEMPTS,
    )
    return TransferManager(client(), config)
