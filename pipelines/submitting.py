"""A version of the pipeline on the server, and a run of it."""

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from pipelines.server import ServerError


@dataclass(frozen=True)
class Uploaded:
    """A version of the pipeline on the server: ids, and the version's name, which tells its content."""

    pipeline_id: str
    version_id: str
    name: str


def upload(client: Any, package: str) -> Uploaded:
    """Upload the compiled pipeline as a version of the pipeline of its name, once: the same text is the same version.

    Raises:
        ServerError: the server does not tell the version of a pipeline that it has just taken.
    """
    name = next(yaml.safe_load_all(package))["pipelineInfo"]["name"]
    label = f"{version('maskx')}-{hashlib.sha256(package.encode()).hexdigest()[:12]}"
    pipeline_id = client.get_pipeline_id(name)
    if pipeline_id is not None and (found := _version_id(client, pipeline_id, label)):
        return Uploaded(pipeline_id, found, label)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "pipeline.yaml"
        file.write_text(package, encoding="utf-8")
        if pipeline_id is None:
            pipeline_id = client.upload_pipeline(str(file), pipeline_name=name).pipeline_id
        uploaded = client.upload_pipeline_version(str(file), label, pipeline_id=pipeline_id)
    if not uploaded.pipeline_version_id:
        raise ServerError(f"pipeline {name}: the server took version {label} and does not tell its id; submit again")
    return Uploaded(pipeline_id, uploaded.pipeline_version_id, label)


def submit(
    client: Any, uploaded: Uploaded, experiment: str, run_name: str, parameters: Mapping[str, Any], account: str | None
) -> str:
    """Start a run; returns its id. The experiment is made if need be. `account`: the pods' service account, or None."""
    run = client.run_pipeline(
        client.create_experiment(experiment).experiment_id,
        run_name,
        params=dict(parameters),
        pipeline_id=uploaded.pipeline_id,
        version_id=uploaded.version_id,
        service_account=account,
    )
    return str(run.run_id)


def _version_id(client: Any, pipeline_id: str, name: str) -> str | None:
    page = ""
    while True:
        answer = client.list_pipeline_versions(pipeline_id, page_token=page, page_size=100)
        for each in answer.pipeline_versions or []:
            if each.display_name == name:
                return str(each.pipeline_version_id)
        page = answer.next_page_token or ""
        if not page:
            return None
