"""The run's URIs: the folder or prefix that it writes to, the tracking server, the backbone's weights."""

import contextlib
import os
import secrets
import shutil
import sqlite3
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import msgspec

from data_prep.format.manifest import manifest_uri
from data_prep.storage.errors import JSON_ERRORS, ConfigError, MaskxError, StorageError
from data_prep.storage.storage import exists, info, is_on_disk, local_path, read, remove, write
from maskx_model.registry.credentials import shown
from maskx_model.registry.mlflow_run import SQLITE, connected
from maskx_model.run_config import RunConfig

SECONDS = 10
"""How long a server may take to answer."""


class _Experiments(msgspec.Struct):
    """What MLflow's server answers; without any experiment it leaves the list out."""

    experiments: list[dict[str, Any]] = []


def check_root(root: str) -> None:
    """Write a file below the root, read it and remove it.

    Raises:
        StorageError: the place cannot be written to. Other errors are the storage's own.
    """
    probe = f"{root.rstrip('/')}/.probe-{secrets.token_hex(8)}"
    try:
        write(probe, b"maskx")
        found = read(probe)
        remove(probe)
    except (OSError, MaskxError) as error:
        raise StorageError(f"root {root}: cannot be written to ({' '.join(str(error).split())})") from None
    if found != b"maskx":
        raise StorageError(f"root {root}: a file that was written reads back as {found!r}")


def check_space(root: str, dataset: str, wanted: int) -> int | None:
    """Return the free bytes at the root, None for object storage.

    `wanted`: bytes of the source files, whose images go into the dataset as they are.

    Raises:
        StorageError: the dataset is not there yet, and there is less free space than it takes.
    """
    if not is_on_disk(root):
        return None
    free = shutil.disk_usage(local_path(root)).free
    if free < wanted and not exists(manifest_uri(dataset)):
        raise StorageError(f"root {root}: {gigabytes(free)} free, and the dataset takes about {gigabytes(wanted)}")
    return free


def gigabytes(count: int) -> str:
    """A number of bytes for people."""
    return f"{count / 1e9:.1f} GB"


def check_credentials(uri: str) -> None:
    """Raise ConfigError for a server's URI that holds a user's name or password: the pages of a pipeline show its
    parameters."""
    if uri.startswith(("http://", "https://")) and shown(uri) != uri:
        raise ConfigError(
            f"tracking_uri {shown(uri)}: was given with a user's name or password, which everybody would see; put them "
            "into the secret that the parameter mlflow_secret names, as MLFLOW_TRACKING_USERNAME and "
            "MLFLOW_TRACKING_PASSWORD"
        )


def check_tracking(uri: str) -> None:
    """Ask MLflow's server for an experiment, or write to its database.

    Raises:
        ConfigError: there is no URI, nobody answers at it, or the file is no database that can be written.
        TrackingError: MLflow refuses.
    """
    if not uri:
        raise ConfigError("tracking_uri: is empty; name MLflow's tracking server, or sqlite:///FILE")
    if uri.startswith(SQLITE):
        return _check_database(Path(uri.removeprefix(SQLITE)))
    if uri.startswith(("http://", "https://")) and _lists_experiments(uri) and not _has_credentials(uri):
        return None
    with connected(uri) as client:
        client.search_experiments(max_results=1)
    return None


def _lists_experiments(uri: str) -> bool:
    """Whether the server lists an experiment to whoever asks, by MLflow's REST API; its client's import takes seconds.

    Raises ConfigError if nobody answers.
    """
    address = f"{shown(uri).rstrip('/')}/api/2.0/mlflow/experiments/search"
    headers = {"Content-Type": "application/json"}
    try:
        request = urllib.request.Request(address, b'{"max_results": 1}', headers)
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            msgspec.json.decode(answer.read(), type=_Experiments)
    except (urllib.error.HTTPError, *JSON_ERRORS):
        return False  # somebody answers; what is wrong, MLflow's client finds out
    except (OSError, ValueError) as error:
        raise ConfigError(f"tracking_uri {shown(uri)}: no answer ({error}); is the server there?") from None
    return True


def _has_credentials(uri: str) -> bool:
    """Whether MLflow's client asks with more than the address: with a user's name or token, or a certificate."""
    settings = [name for name in os.environ if name.startswith("MLFLOW_TRACKING_") and name != "MLFLOW_TRACKING_URI"]
    return shown(uri) != uri or bool(settings)


def _check_database(file: Path) -> None:
    """Begin a transaction that writes, and take it back. MLflow is left to the last step: its import takes seconds."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as database:
            database.execute("BEGIN IMMEDIATE")
            database.execute("SELECT count(*) FROM sqlite_master")
            database.execute("ROLLBACK")
    except (OSError, sqlite3.Error) as error:
        raise ConfigError(f"tracking_uri {SQLITE}{file}: no database that can be written ({error})") from None


def check_weights(run: RunConfig, detector: str) -> str:
    """Say where the backbone's weights come from.

    `detector`: URI of stage 1's folder; where it is finished, no weights are needed.

    Raises:
        ConfigError: a file that is not there, or a name whose file can neither be downloaded nor is in the cache.
    """
    weights = run.detector.weights
    if run.detector.backbone == "slim" or weights is None:
        return "none: random at first"
    if info(weights) is not None:
        return weights
    if exists(f"{detector}/manifest.json"):
        return "not needed: stage 1 is finished"
    from torch import hub
    from torchvision.models import get_model_weights

    published = get_model_weights(run.detector.backbone).__members__
    if weights not in published:
        raise ConfigError(f"weights {weights}: neither a file nor one of torchvision's {', '.join(published)}")
    url: str = published[weights].url
    if Path(hub.get_dir(), "checkpoints", url.rpartition("/")[2]).is_file():
        return f"{weights}, downloaded already"
    try:
        urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=SECONDS).close()
    except OSError as error:
        raise ConfigError(
            f"weights {weights} of {run.detector.backbone}: {url} does not answer ({error}); download it elsewhere, "
            "and name the file's URI in the parameter weights"
        ) from None
    return f"{weights}, from {url}"
