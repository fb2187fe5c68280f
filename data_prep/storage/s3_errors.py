"""What goes wrong with object storage, as sentences that name the URI and the remedy."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from botocore import exceptions as boto
from s3transfer.exceptions import RetriesExceededError

from data_prep.storage.errors import ConfigError, DataError, MaskxError, StorageError

UNREACHED = (boto.EndpointConnectionError, boto.ConnectTimeoutError, boto.ProxyConnectionError, boto.SSLError)
"""Raised when there is no connection to the endpoint."""

CUT = (boto.HTTPClientError, boto.IncompleteReadError)
"""Raised when an answer breaks off in the middle, which botocore leaves to its callers."""

_NO_CREDENTIALS = (
    boto.CredentialRetrievalError,
    boto.NoAuthTokenError,
    boto.NoCredentialsError,
    boto.PartialCredentialsError,
    boto.SSOError,
    boto.TokenRetrievalError,
)

_UNKNOWN_KEY = "object storage does not accept the credentials ({code}); check the access key and its secret"
_EXPIRED = (
    "the credentials have expired ({code}); get new ones and run the command again: what is finished is kept, and "
)
_EXPIRED += "a training resumes from its last checkpoint"
_DENIED = "access denied; let these credentials list bucket {bucket}, and get, put and delete its objects"
_CHECKSUMS = "; if it is not AWS that refuses, set AWS_REQUEST_CHECKSUM_CALCULATION=when_required"
_ADDRESSING = "this service wants the bucket in the host's name ({code}); write `s3 =` and, indented below it, "
_ADDRESSING += "`addressing_style = virtual` into your profile in ~/.aws/config"
_REGION = "bucket {bucket} is in another region ({code}); set AWS_REGION to its region"
_ANSWERS: dict[str, tuple[type[MaskxError], str]] = {
    "NoSuchBucket": (ConfigError, "there is no bucket {bucket}; correct the name, or make the bucket"),
    **dict.fromkeys(("404", "NoSuchKey"), (DataError, "no such file")),
    **dict.fromkeys(("412", "PreconditionFailed"), (StorageError, "was replaced while it was read; try again")),
    **dict.fromkeys(("ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"), (ConfigError, _EXPIRED)),
    **dict.fromkeys(("InvalidAccessKeyId", "InvalidToken", "SignatureDoesNotMatch"), (ConfigError, _UNKNOWN_KEY)),
    **dict.fromkeys(("403", "AccessDenied"), (ConfigError, _DENIED)),
    "SecondLevelDomainForbidden": (ConfigError, _ADDRESSING),
    **dict.fromkeys(("301", "AuthorizationHeaderMalformed", "PermanentRedirect"), (ConfigError, _REGION)),
}
_NOT_OF_CHECKSUMS = {"404", "412", "NoSuchBucket", "NoSuchKey", "PreconditionFailed"}


def error_code(error: boto.ClientError) -> str:
    """S3's name for an error; an answer without a body has its HTTP status for one."""
    return str(error.response.get("Error", {}).get("Code", ""))


@contextmanager
def explained(uri: str) -> Iterator[None]:
    """Turn what goes wrong in the block into a DataError (no such file), ConfigError or StorageError."""
    try:
        yield
    except (boto.BotoCoreError, boto.ClientError, RetriesExceededError) as error:
        raise _explain(uri, error) from None
    except ValueError as error:
        if "endpoint" not in str(error):
            raise
        raise ConfigError(f"{uri}: {error}; AWS_ENDPOINT_URL looks like http://HOST:PORT") from None


def _explain(uri: str, error: Exception) -> MaskxError:
    if isinstance(error, boto.ClientError) and error_code(error) in _ANSWERS:
        kind, text = _ANSWERS[error_code(error)]
        told = text.format(code=error_code(error), bucket=uri.split("/")[2])
        return kind(f"{uri}: {told}{_of_checksums(error)}")
    if isinstance(error, boto.ProfileNotFound):
        return ConfigError(f"{uri}: {error}; correct AWS_PROFILE, or add the profile to ~/.aws/config")
    if isinstance(error, _NO_CREDENTIALS):
        remedy = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
        return ConfigError(f"{uri}: no credentials for object storage ({error}); {remedy}")
    if isinstance(error, boto.ParamValidationError):
        return ConfigError(f"{uri}: no location in object storage; write s3://BUCKET/PREFIX, BUCKET in lower case")
    if isinstance(error, UNREACHED):
        return StorageError(f"{uri}: object storage does not answer ({error}); check AWS_ENDPOINT_URL and the network")
    hint = _of_checksums(error) or "; try again, what is finished is kept"
    return StorageError(f"{uri}: object storage failed ({error}){hint}")


def _of_checksums(error: Exception) -> str:
    """Many services refuse requests with the checksums that the user has asked for, each in words of its own."""
    asked = os.environ.get("AWS_REQUEST_CHECKSUM_CALCULATION", "").lower() == "when_supported"
    if not (asked and isinstance(error, boto.ClientError)) or error_code(error) in _NOT_OF_CHECKSUMS:
        return ""
    return _CHECKSUMS
