"""What a pipeline run leaves on a registered version: the fingerprint of what it was made of, and the run's id."""

from typing import Any

from maskx_model.registry.mlflow_run import connected

FINGERPRINT, RUN, ENDED = "fingerprint", "pipeline_run", "pipeline_ended"


def version_made_of(fingerprint: str, name: str, tracking_uri: str) -> str:
    """The newest registered version with this fingerprint, `models:/NAME/VERSION`; empty if there is none.

    A version that did not become the champion counts too: trained again it would be the same model.
    """
    with connected(tracking_uri) as client:
        found = client.search_model_versions(f"name = '{name}' AND tags.{FINGERPRINT} = '{fingerprint}'")
    numbers = sorted(int(each.version) for each in found)
    return f"models:/{name}/{numbers[-1]}" if numbers else ""


def tag_version(version: str, fingerprint: str, run_id: str, tracking_uri: str) -> None:
    """Tag a registered version with the fingerprint, and its MLflow run with how the pipeline run ended."""
    name, _, number = version.removeprefix("models:/").partition("/")
    with connected(tracking_uri) as client:
        client.set_model_version_tag(name, number, FINGERPRINT, fingerprint)
        client.set_model_version_tag(name, number, RUN, run_id)
        tag_run(client, client.get_model_version(name, number).run_id, run_id, "succeeded")


def tag_run(client: Any, mlflow_run: str, run_id: str, ended: str) -> None:
    """Tag an MLflow run with the pipeline run and how that ended."""
    client.set_tag(mlflow_run, RUN, run_id)
    client.set_tag(mlflow_run, ENDED, ended)
