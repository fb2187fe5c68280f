"""The first step of a pipeline: everything that can be checked before anything costs is checked, and told at once."""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime

from data_prep.prepare.options import exif_rule
from data_prep.sources.options import parse_sources
from data_prep.storage.storage import write
from data_prep.toy_world.sources import sources_or_toy_world
from maskx_model.configure.yaml_text import to_yaml
from maskx_model.launch.machines import Machines
from maskx_model.preflight.configuration import resolve
from maskx_model.preflight.cost import gpu_hours
from maskx_model.preflight.findings import Findings
from maskx_model.preflight.fingerprint import fingerprint
from maskx_model.preflight.journal import Journal, config_uri, journal_uri, write_journal
from maskx_model.preflight.markdown import bullets, table
from maskx_model.preflight.nodes import check_accelerators, check_ranks, check_trainer
from maskx_model.preflight.original_data import Inventory, bytes_of, check_sources
from maskx_model.preflight.places import (
    check_credentials,
    check_root,
    check_space,
    check_tracking,
    check_weights,
    gigabytes,
)
from maskx_model.preflight.pods import check_pods
from maskx_model.preflight.request import CONFIG, Request
from maskx_model.preflight.versions import version_made_of
from maskx_model.registry.credentials import shown
from maskx_model.registry.versions import check_name
from maskx_model.run_config import RunConfig

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """What the next steps work with, and the plan as Markdown for people.

    `root`: the run's own. `sources`: those to prepare. `config`: URI of the run's whole configuration. `journal`: URI
    of what the exit handler reads. `fingerprint`: of what the model is made of. `unchanged_since`: the version that has
    that fingerprint, empty if there is something to do.
    """

    root: str
    sources: tuple[str, ...]
    config: str
    journal: str
    fingerprint: str
    unchanged_since: str
    markdown: str


def preflight(request: Request) -> Plan:
    """Check a pipeline's parameters and places; write its configuration and, where it names no sources, its toy world.

    Raises:
        ConfigError: what is wrong, each thing on a line of its own.
    """
    root = request.root.rstrip("/")
    root = f"{root}/{datetime.now(UTC):%Y-%m-%d-%H%M%S}" if request.dated else root
    run, inventories, facts = _checked(request, root)
    hashed = fingerprint(run, inventories, request.exif)
    same = version_made_of(hashed, request.registered_name, request.tracking_uri) if request.only_if_changed else ""
    journal = journal_uri(request.root, request.run_id)
    write_journal(journal, Journal(root, hashed, unchanged_since=same))
    config = config_uri(request.root, request.run_id)
    facts = {"root": root, "configuration": config, "tracking": request.tracking_uri, "fingerprint": hashed, **facts}
    if same:
        logger.info("nothing has changed since %s was made: sources, configuration and code are the same", same)
        return Plan(root, request.sources, config, journal, hashed, same, _unchanged(same, facts))
    for uri in (config, f"{root}/{CONFIG}"):
        write(uri, to_yaml(run).encode())
    toy = (run.data.toy_images, run.data.toy_val_images, run.seed)
    named = sources_or_toy_world(request.sources, f"{root}/original", *toy)
    parse_sources(tuple(named))
    return Plan(root, tuple(named), config, journal, hashed, same, _markdown(run, facts))


def _checked(request: Request, root: str) -> tuple[RunConfig, dict[str, Inventory], dict[str, str]]:
    """The run's configuration, its sources' files, and facts for the plan; raises ConfigError with all problems."""
    findings = Findings()
    run = resolve(request, findings)
    findings.attempt(exif_rule, request.exif)
    if request.registers:
        findings.attempt(check_name, request.registered_name)
        findings.attempt(check_credentials, request.tracking_uri)
        findings.attempt(check_tracking, request.tracking_uri)
    inventories = check_sources(request.sources, run, findings)
    free = None
    if findings.attempt(_root_is_writable, request.root):
        wanted = sum(map(bytes_of, inventories.values()))
        free = findings.attempt(check_space, request.root, f"{root}/dataset", wanted)
    weights = None if run is None else findings.attempt(check_weights, run, f"{root}/detector")
    check_pods(request.sizes, findings)
    machines = _machines(request.machines, run, findings)
    findings.raise_problems()
    assert run is not None, "without a problem there is a configuration"
    facts = {"weights": str(weights), **machines}
    if free is not None:
        facts["free space"] = gigabytes(free)
    for name, inventory in inventories.items():
        facts[f"source {name}"] = f"{len(inventory):,} files, {gigabytes(bytes_of(inventory))}"
    return run, inventories, facts


def _machines(asked: Machines, run: RunConfig | None, findings: Findings) -> dict[str, str]:
    """Check the trainings' machines; returns facts about them."""
    pool = {"gpu_node_selector": asked.node_selector, "gpu_tolerations": asked.tolerations}
    pool_is_right = check_pods(pool, findings)
    if not check_pods({"nodes": asked.nodes, "accelerator_count": asked.count}, findings):
        return {}
    if run is not None:
        findings.attempt(check_ranks, run, asked)
    facts = {}
    if pool_is_right:
        facts["accelerators"] = str(findings.attempt(check_accelerators, asked))
    if asked.several_nodes:
        facts["nodes"] = str(findings.attempt(check_trainer, asked))
    return facts


def _root_is_writable(root: str) -> bool:
    check_root(root)
    return True


def _markdown(run: RunConfig, facts: dict[str, str]) -> str:
    costs = gpu_hours(run)
    for line in [*(f"{name}: {value}" for name, value in facts.items()), *costs]:
        logger.info("%s", shown(line))
    return (
        "\n".join([f"# Plan: preset {run.name}", "", *table(facts), "", "What it costs:", "", *bullets(costs)]) + "\n"
    )


def _unchanged(same: str, facts: dict[str, str]) -> str:
    return "\n".join([f"# Nothing has changed since {same}", "", *table(facts)]) + "\n"
