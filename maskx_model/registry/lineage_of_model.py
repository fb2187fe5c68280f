"""`maskx model lineage`: the chain of a model that is given as a folder or as a registered version."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from data_prep.storage.errors import DataError
from maskx_model.registry.lineage import FILE, Node, read_lineage, trace
from maskx_model.registry.mlflow_run import connected, resolve_tracking_uri
from maskx_model.registry.registry import address_of
from maskx_model.registry.versions import version_number


def lineage(
    model: str, stages: Sequence[str] = (), dataset: str | None = None, tracking_uri: str | None = None
) -> Node:
    """The chain behind a model folder, or behind a registered version (`models:/maskx@champion`) as it was then.

    `stages`, `dataset`: what a folder was made from (`trace`). Raises ConfigError if there is no such version,
    DataError for one that was registered without its lineage, and CheckpointError for a folder that holds no model.
    """
    if not model.startswith("models:/"):
        return trace(model.rstrip("/"), stages, dataset)
    name, version = address_of(model)
    with tempfile.TemporaryDirectory() as folder, connected(resolve_tracking_uri(tracking_uri)) as client:
        run_id = client.get_model_version(name, version_number(client, name, version)).run_id
        if FILE not in {file.path for file in client.list_artifacts(run_id)}:
            raise DataError(
                f"{model}: it was registered without its lineage, by an earlier release; name its folder instead, with "
                "--stages and --dataset"
            )
        path = Path(client.download_artifacts(run_id, FILE, folder))
        return read_lineage(path.read_bytes(), f"{FILE} of {model}")
