"""From `s3://bucket/key` to bucket and key, and whether there is such a bucket."""

import posixpath
from functools import cache
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from data_prep.storage.errors import ConfigError
from data_prep.storage.s3_client import client
from data_prep.storage.s3_errors import error_code, explained

_NO_SUCH_BUCKET = {"404", "NoSuchBucket", "NoSuchKey", "NotFound"}


def split(uri: str) -> tuple[str, str]:
    """Bucket and key; the key is empty for the bucket itself.

    Raises ConfigError where the endpoint names the bucket already.
    """
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    key = posixpath.normpath(f"/{key}").lstrip("/")
    _refuse_bucket_in_endpoint(bucket)
    return bucket, key


def split_file(uri: str) -> tuple[str, str]:
    """Bucket and key of an object; raises ConfigError also where there is no key."""
    bucket, key = split(uri)
    if not key:
        raise ConfigError(f"{uri}: names a bucket, not a file; write s3://BUCKET/PREFIX")
    return bucket, key


@cache
def require_bucket(bucket: str) -> None:
    """To a question about one object, a bucket that is not there answers like one without the object."""
    try:
        client().head_bucket(Bucket=bucket)
    except ClientError as error:
        if error_code(error) in _NO_SUCH_BUCKET:
            error.response["Error"]["Code"] = "NoSuchBucket"
            raise


@cache
def _refuse_bucket_in_endpoint(bucket: str) -> None:
    """At `https://BUCKET.s3.example.com`, or `https://example.com/BUCKET`, all keys would begin with the bucket's name.

    A bucket may be called as the first word of its host: such an endpoint is asked for it.
    """
    if not bucket:
        return
    uri = f"s3://{bucket}"
    with explained(uri):
        endpoint = client().meta.endpoint_url
        parts = urlsplit(endpoint)
        if not ((parts.hostname or "").startswith(f"{bucket}.") or f"{parts.path}/".endswith(f"/{bucket}/")):
            return
        try:
            require_bucket(bucket)
        except ClientError:
            remedy = "leave the bucket out of it, it stands in the URI"
            raise ConfigError(f"{uri}: AWS_ENDPOINT_URL={endpoint} names the bucket already; {remedy}") from None
