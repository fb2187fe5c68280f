"""The model registry: versions of a name, of which the alias `champion` is the one to use.

A new version becomes the champion when it passes the gates (`gates.py`); otherwise it is the `challenger`.
"""

import logging
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from data_prep.storage.errors import ConfigError
from maskx_model.artifacts.model_folder import model_name
from maskx_model.registry.card import FILE as CARD
from maskx_model.registry.card import model_card, shortened
from maskx_model.registry.costs import measure_costs
from maskx_model.registry.credentials import shown
from maskx_model.registry.gates import Figures, ask
from maskx_model.registry.lineage import FILE as LINEAGE
from maskx_model.registry.lineage import Node, trace
from maskx_model.registry.live_register import followed_stages
from maskx_model.registry.live_runs import run_of_environment
from maskx_model.registry.logged_model import download_model, log_model
from maskx_model.registry.mlflow_run import connected, end_run, experiment_id, logged_run, resolve_tracking_uri
from maskx_model.registry.pages import tell_pages
from maskx_model.registry.promotion import DECISION, give_alias
from maskx_model.registry.rival import find_rival
from maskx_model.registry.run_contents import RunContents, gather
from maskx_model.registry.versions import NAME, check_name, version_number
from maskx_model.run_config import GatesConfig, RunConfig

logger = logging.getLogger(__name__)

EVALUATION = "evaluation_sha256"
"""The version's tag that tells how, and on what, its numbers were measured."""
ADDRESS = re.compile(rf"models:/({NAME.pattern})[/@]({NAME.pattern})")


def register(
    model: str,
    evaluation: str,
    name: str = "maskx",
    tracking_uri: str | None = None,
    stages: tuple[str, ...] = (),
    dataset: str | None = None,
    preset: RunConfig | None = None,
    estimate: str | None = None,
) -> str:
    """Log a trained and evaluated model to MLflow, register it, and decide whether it is the champion.

    `model`: a finished model folder; `evaluation`: the folder that `maskx evaluate` wrote for it; `stages`: folders of
    the trainings whose curves belong to it besides its own; `dataset`: the prepared dataset; `preset`: the
    configuration it was trained with, whose gates are asked (the default ones without it); `estimate`: the folder of
    the leave-classes-out estimate for B. The same model with the same evaluation registers once: asked again, its
    version is found by their hashes.

    Returns the version's URI, `models:/<name>/<version>`. Raises CheckpointError or DataError for folders that are not
    finished or do not belong together, TrackingError where MLflow refuses.
    """
    check_name(name)
    contents = gather(model, evaluation, stages, dataset, preset, estimate)
    tracking_uri = resolve_tracking_uri(tracking_uri)
    logger.info("registering %s in %s", model, shown(tracking_uri))
    joined = run_of_environment(tracking_uri)  # before MLflow's client is connected, which changes the environment
    with connected(tracking_uri) as client:
        live = followed_stages(client, tracking_uri, (*stages, model), joined)
        version = _find(client, name, contents)
        if version is None:
            lineage, card = trace(model, stages, dataset), model_card(model, contents)
            experiment = live.experiment or experiment_id(client, tracking_uri, name)
            with logged_run(client, experiment, model_name(model), live.without_curves(contents), live.tags) as run_id:
                version = _create_version(client, name, model, run_id, contents, lineage, card)
            tell_pages(tracking_uri, experiment, run_id, name, version.version)
        else:
            end_run(client, version.run_id)
        if DECISION not in version.tags:  # a champion that was replaced does not come back by registering again
            _decide(client, name, version, model, contents, preset.gates if preset else GatesConfig())
        else:
            as_is = f"{version.tags[DECISION]}; its gates were asked then, and `maskx model promote` decides otherwise"
            logger.info("models:/%s/%s was registered before as %s", name, version.version, as_is)
    return f"models:/{name}/{version.version}"


@contextmanager
def fetched_model(uri: str, tracking_uri: str | None = None) -> Iterator[str]:
    """The model folder of a registered model, `models:/<name>/<version>` or `models:/<name>@<alias>`, until the block
    ends; raises ConfigError if there is no such version."""
    name, version = address_of(uri)
    with tempfile.TemporaryDirectory() as folder, connected(resolve_tracking_uri(tracking_uri)) as client:
        yield download_model(name, version_number(client, name, version), folder)


def address_of(uri: str) -> tuple[str, str]:
    """Name, and version or alias, of `models:/<name>/<version>` or `models:/<name>@<alias>`; raises ConfigError for
    anything else."""
    address = ADDRESS.fullmatch(uri)
    if address is None:
        raise ConfigError(
            f"{uri}: write models:/NAME/VERSION or models:/NAME@ALIAS, for example models:/maskx@champion"
        )
    name, version = address.groups()
    return name, version


def _decide(client: Any, name: str, version: Any, model: str, contents: RunContents, gates: GatesConfig) -> None:
    rival = find_rival(client, name, str(version.version), contents)
    verdicts = ask(gates, {**contents.ap, **_costs(model, gates)}, rival)
    give_alias(client, name, version, verdicts, rival, gates.approval)


def _costs(model: str, gates: GatesConfig) -> Figures:
    """Measured only where a gate asks for them."""
    if gates.max_seconds is None and gates.max_memory is None:
        return {}
    costs = measure_costs(model)
    return {"seconds": costs.seconds, "memory": costs.memory}


def _find(client: Any, name: str, contents: RunContents) -> Any:
    """The version of this model with this evaluation; an earlier release did not tag the evaluation."""
    measured = contents.evaluation_sha256
    found = client.search_model_versions(f"name = '{name}' AND tags.model_sha256 = '{contents.model_sha256}'")
    return next((each for each in found if each.tags.get(EVALUATION, measured) == measured), None)


def _create_version(
    client: Any, name: str, model: str, run_id: str, contents: RunContents, lineage: Node, card: str
) -> Any:
    texts = {CARD: card, LINEAGE: msgspec.json.format(msgspec.json.encode(lineage), indent=1).decode() + "\n"}
    for file, text in texts.items():
        client.log_text(run_id, text, file)
    logged = log_model(model, run_id, texts)
    # The tags are part of the same transaction: a version without its hash would be registered twice.
    tags = {"model_sha256": contents.model_sha256, EVALUATION: contents.evaluation_sha256}
    tags |= {"kind": contents.kind, "test_set": contents.test_set}
    tags |= {name: str(value) for name, value in contents.ap.items()}
    tags |= {f"parent.{parent.kind}": f"{parent.name} sha256 {parent.sha256}" for parent in lineage.made_from}
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name)
    return client.create_model_version(
        name,
        source=logged.model_uri,
        run_id=run_id,
        tags=tags | lineage.code,
        description=shortened(card),
        model_id=logged.model_id,
    )
