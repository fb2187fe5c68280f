"""The server of Kubeflow Pipelines: KFP's own client, with errors that say what to do."""

import contextlib
import io
import json
import os
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator
from typing import Any

from data_prep.storage.errors import ConfigError, MaskxError
from data_prep.storage.storage import read

HOST_VARIABLE, PAGES_VARIABLE = "KF_PIPELINES_ENDPOINT", "KF_PIPELINES_UI_ENDPOINT"
"""The environment variables that KFP's own command line reads, too: the API's URL, and that of the pages."""
SECONDS = 10


class ServerError(MaskxError):
    """The server of Kubeflow Pipelines does not answer, or refuses."""


def run_page(host: str | None, run_id: str) -> str:
    """Where a run can be watched."""
    address = os.environ.get(PAGES_VARIABLE) or host or os.environ.get(HOST_VARIABLE) or ""
    return f"{address.rstrip('/')}/#/runs/details/{run_id}"


@contextlib.contextmanager
def connected(host: str | None, namespace: str | None, token_file: str | None) -> Iterator[Any]:
    """A `kfp.Client` of that server.

    Args:
        host: The server's URL; None for that in KF_PIPELINES_ENDPOINT.
        namespace: The user's namespace, where the server has several users.
        token_file: A file with the token that the server asks for, or None.

    Raises:
        ConfigError: no server is named.
        ServerError: nobody answers there, or within the block the server refuses a request.
    """
    url = (host or os.environ.get(HOST_VARIABLE) or "").rstrip("/")
    if not url.startswith(("http://", "https://")):
        raise ConfigError(
            f"--host {url or 'is missing'}: name the server's URL, such as http://localhost:8888 after "
            f"`kubectl port-forward -n kubeflow svc/ml-pipeline 8888`, or set {HOST_VARIABLE}"
        )
    token = None if token_file is None else read(token_file).decode().strip()
    _check(url, token)
    from kfp import Client
    from kfp_server_api import ApiException

    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):  # it prints links; ours come at the end
        warnings.simplefilter("ignore")
        try:
            yield Client(host=url, namespace=namespace or "", existing_token=token)
        except ApiException as error:
            raise ServerError(f"{url}: refuses ({error.status}: {_message(error)})") from None


def _check(url: str, token: str | None) -> None:
    """Ask whether a server of Kubeflow Pipelines is there: KFP's client would try for half a minute.

    No redirect is followed: it would lead to a login's page, and urllib would take the token along to another host.
    """
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    request = urllib.request.Request(f"{url}/apis/v2beta1/healthz", headers=headers)
    try:
        urllib.request.build_opener(_NoRedirects).open(request, timeout=SECONDS).close()
    except urllib.error.HTTPError as error:
        if 300 <= error.code < 400:
            to = error.headers.get("Location", "elsewhere").partition("?")[0]
            hint = f"it sends to {to}, as a server does that asks for a login; pass --token-file, or name its new URL"
        else:
            hint = "pass --token-file" if error.code in (401, 403) else "is it the server of Kubeflow Pipelines?"
        raise ServerError(f"{url}: answers with {error.code} {error.reason}; {hint}") from None
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise ServerError(f"{url}: no server of Kubeflow Pipelines answers ({reason}); is it running?") from None


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Makes an HTTPError of each redirect."""

    def redirect_request(self, *_: Any) -> None:
        """Follow none."""


def _message(error: Any) -> str:
    """What the server says is wrong."""
    try:
        body = json.loads(error.body)
        return str(body.get("message") or body.get("error") or error.reason)
    except (TypeError, ValueError, AttributeError):
        return str(error.body or error.reason)
