"""The cluster's nodes: whether a pod that asks for these GPUs could start, as far as the first step can see."""

import logging
import os
from collections.abc import Iterable, Mapping
from typing import Any

from data_prep.storage.errors import ConfigError
from maskx_model.preflight.request import Accelerators

logger = logging.getLogger(__name__)
SECONDS = 10


def check_accelerators(asked: Accelerators) -> str:
    """Say what the cluster has of the GPUs that are asked for, or why that cannot be seen.

    A pool without a node of now is no error: it may scale from zero.

    Raises:
        ConfigError: the count is no number, or the pool has nodes and none of them has as many GPUs of this kind.
    """
    if not asked.count.isdecimal():
        raise ConfigError(f'accelerator_count {asked.count!r}: write a number as text, such as "1"; "0" for CPUs')
    if int(asked.count) == 0:
        return "none asked for: CPUs"
    wanted = f"{asked.count} × {asked.kind}"
    nodes, hidden = _nodes()
    if nodes is None:
        return f"{wanted}; the cluster's nodes cannot be seen ({hidden})"
    pool = [node for node in nodes if _in_pool(node, asked)]
    fitting = [node for node in pool if _count(node, asked.kind) >= int(asked.count)]
    labels = ", ".join(f"{name}={value}" for name, value in asked.node_selector.items())
    if fitting:
        return f"{wanted}: {len(fitting)} of {len(nodes)} nodes have them"
    if pool and labels:
        most = max(_count(node, asked.kind) for node in pool)
        raise ConfigError(f"accelerator_count {asked.count}: no node with {labels} has more than {most} {asked.kind}")
    logger.warning("%s: no node has them now; the step waits until one appears", wanted)
    return f"{wanted}: no node has them now{f' among those with {labels}' if labels else ''}; the step will wait"


def _nodes() -> tuple[list[Any] | None, str]:
    """The nodes of the cluster that this pod is in, or else of KUBECONFIG's; or None and why they cannot be seen."""
    from kubernetes import client, config
    from urllib3.exceptions import HTTPError

    try:
        if "KUBERNETES_SERVICE_HOST" in os.environ:
            config.load_incluster_config()
        else:
            config.load_kube_config(os.environ.get("KUBECONFIG"))
        return client.CoreV1Api().list_node(_request_timeout=SECONDS).items, ""
    except config.ConfigException as error:
        return None, str(error)
    except client.ApiException as error:
        return None, f"{error.status} {error.reason}: the service account may not list nodes"
    except HTTPError as error:
        return None, type(error).__name__


def _in_pool(node: Any, asked: Accelerators) -> bool:
    labels = node.metadata.labels or {}
    taints = [taint for taint in node.spec.taints or [] if taint.effect != "PreferNoSchedule"]
    chosen = all(labels.get(name) == value for name, value in asked.node_selector.items())
    return chosen and all(_tolerated(taint, asked.tolerations) for taint in taints)


def _tolerated(taint: Any, tolerations: Iterable[Mapping[str, str]]) -> bool:
    return any(
        each.get("effect") in (None, "", taint.effect)
        and each.get("key") in (None, "", taint.key)
        and (each.get("operator") == "Exists" or each.get("value", "") == (taint.value or ""))
        for each in tolerations
    )


def _count(node: Any, kind: str) -> int:
    return int((node.status.allocatable or {}).get(kind, 0))
