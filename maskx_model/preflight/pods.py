"""What pods are asked for, as Kubernetes takes it: KFP's driver reads it when the step begins, hours into a run."""

import re
from collections.abc import Mapping
from typing import Any

from data_prep.storage.errors import ConfigError
from maskx_model.preflight.findings import Findings

_NUMBER = r"(\d+\.?\d*|\.\d+)"
CPU = re.compile(rf"{_NUMBER}([KMGTPE]i|[numkMGTPE]|[eE][+-]?\d+)?", re.ASCII)
"""Kubernetes' quantity, without a sign."""
MEMORY = re.compile(rf"{_NUMBER}([KMGTPE]i|[kMGTPE]|[eE]\+?\d+)|\d{{7,}}", re.ASCII)
"""The same, but that fewer than a million bytes are a size whose unit is missing, or is `m`, thousandths of a byte."""
OPERATORS, EFFECTS = ("", "Equal", "Exists"), ("", "NoSchedule", "PreferNoSchedule", "NoExecute")
TEXTS, SECONDS = ("key", "operator", "value", "effect"), "tolerationSeconds"
"""The fields of a toleration: texts, and a whole number."""


def check_pods(parameters: Mapping[str, Any], findings: Findings) -> bool:
    """Check those of a pipeline's parameters that become resources or fields of pods; all others pass.

    Sizes are known by the ends of their names, `cpu` and `memory`. Each that is wrong, and each wrong label and
    toleration, is a problem. Returns whether there is none.
    """
    before = len(findings.problems)
    for name, value in parameters.items():
        if name == "gpu_tolerations":
            for toleration in value:
                findings.attempt(_check_toleration, toleration)
        elif name == "gpu_node_selector":
            for label, wanted in value.items():
                findings.attempt(_check_label, label, wanted)
        elif name in ("nodes", "accelerator_count"):
            findings.attempt(_check_number, name, value)
        elif name.endswith("memory"):
            findings.attempt(check_memory, name, value)
        elif name.endswith("cpu"):
            findings.attempt(_check_cpu, name, value)
    return len(findings.problems) == before


def check_memory(name: str, value: Any) -> None:
    """Raise ConfigError if a size of memory or of a volume is not written as Kubernetes does."""
    if not isinstance(value, str) or not MEMORY.fullmatch(value):
        raise ConfigError(f"{name} {value!r}: write a size as Kubernetes does, such as 16Gi")


def _check_cpu(name: str, value: Any) -> None:
    if not isinstance(value, str) or not CPU.fullmatch(value):
        raise ConfigError(f'{name} {value!r}: write CPUs as Kubernetes does, as text, such as "8" or 500m')


def _check_number(name: str, value: str) -> None:
    if name == "nodes" and (not value.isdecimal() or int(value) == 0):
        raise ConfigError(f'nodes {value!r}: write a number as text, from "1"')
    if not value.isdecimal():
        raise ConfigError(f'{name} {value!r}: write a number as text, such as "1"; "0" for CPUs')


def _check_label(label: Any, value: Any) -> None:
    if not isinstance(label, str) or not isinstance(value, str):
        raise ConfigError(f"gpu_node_selector {label}: {value!r}: labels are text; put it in quotes")


def _check_toleration(toleration: Any) -> None:
    if not isinstance(toleration, dict):
        example = "{key: nvidia.com/gpu, operator: Exists, effect: NoSchedule}"
        raise ConfigError(f"gpu_tolerations {toleration!r}: write an object, such as {example}")
    wrong = [f"there is no field {name}" for name in toleration if name not in (*TEXTS, SECONDS)]
    texts = {name: toleration.get(name, "") for name in TEXTS}
    wrong += [f"{name} is text; put it in quotes" for name, text in texts.items() if not isinstance(text, str)]
    for name, allowed in (("operator", OPERATORS), ("effect", EFFECTS)):
        if isinstance(texts[name], str) and texts[name] not in allowed:
            wrong.append(f"{name} is one of {', '.join(allowed[1:])}")
    if texts["operator"] == "Exists" and texts["value"]:
        wrong.append("operator Exists takes no value")
    if not texts["key"] and texts["operator"] != "Exists":
        wrong.append("without a key the operator is Exists")
    if SECONDS in toleration and not (_is_whole(toleration[SECONDS]) and texts["effect"] == "NoExecute"):
        wrong.append(f"{SECONDS} is a whole number, for effect NoExecute alone")
    if wrong:
        raise ConfigError(f"gpu_tolerations {toleration}: {'; '.join(wrong)}")


def _is_whole(value: Any) -> bool:
    """A number may arrive as a float."""
    return isinstance(value, int | float) and not isinstance(value, bool) and float(value).is_integer()
