"""Where MLflow's pages show a registered version."""

import logging

from maskx_model.registry.credentials import shown

logger = logging.getLogger(__name__)

FOR_TRAINING = "workflowType=machine_learning"
"""MLflow's pages show tools for language models first, whatever kind an experiment has, until somebody chooses `Model
training`, or follows a link that does."""


def tell_pages(tracking_uri: str, experiment: str, run_id: str, name: str, version: str) -> None:
    """Log the addresses of the runs, this run and the version, where the store is a server and so has pages."""
    if tracking_uri.startswith("http"):
        server = shown(tracking_uri)
        logger.info("runs to compare: %s", runs_page(server, experiment))
        logger.info("run: %s", run_page(server, experiment, run_id))
        logger.info("report: %s", run_page(server, experiment, run_id, "evaluation/report.html"))
        logger.info("version: %s", version_page(server, name, version))


def runs_page(server: str, experiment: str) -> str:
    """The table of an experiment's runs, to compare some by their metrics."""
    return f"{server.rstrip('/')}/#/experiments/{experiment}/runs?{FOR_TRAINING}"


def run_page(server: str, experiment: str, run_id: str, artifact: str = "") -> str:
    """A run with its numbers and curves, or one of its artifacts, such as its report, by its path."""
    below = f"/artifacts/{artifact}" if artifact else ""
    return f"{server.rstrip('/')}/#/experiments/{experiment}/runs/{run_id}{below}?{FOR_TRAINING}"


def version_page(server: str, name: str, version: str) -> str:
    """A version with its card, its gates and what it was made from."""
    return f"{server.rstrip('/')}/#/models/{name}/versions/{version}?{FOR_TRAINING}"
