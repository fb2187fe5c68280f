"""The first step of a pipeline: everything that can be checked before anything costs is checked, and told at once."""

import logging
from dataclasses import dataclass

from data_prep.prepare.options import exif_rule
from data_prep.sources.options import parse_sources
from data_prep.storage.storage import write
from data_prep.toy_world.sources import sources_or_toy_world
from maskx_model.configure.yaml_text import to_yaml
from maskx_model.preflight.configuration import resolve
from maskx_model.preflight.cost import gpu_hours
from maskx_model.preflight.findings import Findings
from maskx_model.preflight.nodes import check_accelerators
from maskx_model.preflight.original_data import Size, check_sources
from maskx_model.preflight.places import check_root, check_space, check_tracking, check_weights, gigabytes
from maskx_model.preflight.request import CONFIG, Request
from maskx_model.registry.versions import check_name
from maskx_model.run_config import RunConfig

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """What the next steps work with: the sources to prepare, the URI of the whole configuration; and the plan as
    Markdown for people."""

    sources: tuple[str, ...]
    config: str
    markdown: str


def preflight(request: Request) -> Plan:
    """Check a pipeline's parameters and places; write its configuration and, where it names no sources, its toy world.

    Raises:
        ConfigError: what is wrong, each thing on a line of its own.
    """
    findings = Findings()
    root = request.root.rstrip("/")
    run = resolve(request, findings)
    findings.attempt(exif_rule, request.exif)
    findings.attempt(check_name, request.registered_name)
    sizes = check_sources(request.sources, run, findings)
    free = None
    if findings.attempt(_root_is_writable, root):
        wanted = sum(size.bytes for size in sizes.values())
        free = findings.attempt(check_space, root, f"{root}/dataset", wanted)
    findings.attempt(check_tracking, request.tracking_uri)
    weights = None if run is None else findings.attempt(check_weights, run, f"{root}/detector")
    gpus = findings.attempt(check_accelerators, request.accelerators)
    findings.raise_problems()
    assert run is not None, "without a problem there is a configuration"
    named = sources_or_toy_world(
        request.sources, f"{root}/original", run.data.toy_images, run.data.toy_val_images, run.seed
    )
    parse_sources(tuple(named))
    write(f"{root}/{CONFIG}", to_yaml(run).encode())
    places = {"root": root, "configuration": f"{root}/{CONFIG}", "tracking": request.tracking_uri}
    facts = {"weights": weights, "accelerators": gpus, "free space": None if free is None else gigabytes(free)}
    return Plan(tuple(named), f"{root}/{CONFIG}", _markdown(run, places | facts, sizes))


def _root_is_writable(root: str) -> bool:
    check_root(root)
    return True


def _markdown(run: RunConfig, facts: dict[str, str | None], sizes: dict[str, Size]) -> str:
    known = {name: value for name, value in facts.items() if value is not None}
    known |= {f"source {name}": f"{size.files:,} files, {gigabytes(size.bytes)}" for name, size in sizes.items()}
    costs = gpu_hours(run)
    for line in [*(f"{name}: {value}" for name, value in known.items()), *costs]:
        logger.info("%s", line)
    rows = [f"| {name} | {value} |" for name, value in known.items()]
    lines = [f"# Plan: preset {run.name}", "", "| what | |", "|---|---|", *rows]
    return "\n".join([*lines, "", "What it costs:", "", *(f"- {line}" for line in costs)]) + "\n"
