"""The run's configuration from the pipeline's parameters: each parameter that is wrong is told, not the first alone."""

from collections.abc import Iterator

from data_prep.storage.errors import ConfigError
from maskx_model.configure.changes import Change, changed, parse_override, value_of
from maskx_model.configure.choose import PIPELINE_DEFAULT, check_for_pipeline, choose
from maskx_model.data.mask_classes import check_choice
from maskx_model.preflight.findings import Findings
from maskx_model.preflight.request import AS_CONFIGURED, Request
from maskx_model.run_config import RunConfig


def resolve(request: Request, findings: Findings) -> RunConfig | None:
    """The whole configuration of the run; None if the findings have problems with it."""
    before = len(findings.problems)
    begun = findings.attempt(choose, request.preset or None, request.config or None, (), PIPELINE_DEFAULT)
    changes = [findings.attempt(parse_override, each) for each in request.overrides]
    changes += [findings.attempt(_checked, change) for change in _parameters(request)]
    named = [change for change in changes if change is not None]
    for change in named:
        findings.attempt(value_of, change)
    mask_classes = request.mask_classes or (begun.mask_classes if begun else "")
    if mask_classes:
        findings.attempt(check_choice, mask_classes)
    if begun is None or len(findings.problems) > before:
        return None
    run = findings.attempt(changed, begun, named)
    if run is not None:
        findings.attempt(check_for_pipeline, run)
        findings.attempt(check_choice, run.mask_classes)
        findings.attempt(_check_weights, run, request.weights)
    return run if len(findings.problems) == before else None


def _parameters(request: Request) -> Iterator[Change]:
    """The parameters that stand for a field of the configuration."""
    numbers = {"classes": "data.classes", "max_rejected": "data.max_rejected", "seed": "seed"}
    for name, path in numbers.items():
        value = getattr(request, name)
        if value != AS_CONFIGURED:
            text = "none" if (name, value) == ("classes", 0) else str(value)
            yield Change(path, text, f"{name} {value}")
    texts = {"mask_classes": "mask_classes", "weights": "detector.weights"}
    for name, path in texts.items():
        if value := getattr(request, name):
            yield Change(path, value, f"{name} {value}")


def _checked(change: Change) -> Change:
    if str(change.text).startswith("-"):
        raise ConfigError(f"{change.where}: a number from 0 is needed; {AS_CONFIGURED} is the configuration's")
    return change


def _check_weights(run: RunConfig, weights: str) -> None:
    if weights and run.detector.backbone == "slim":
        raise ConfigError(f"weights {weights}: preset {run.name} has a small backbone; there are none for it")
