"""The cluster: whether pods that ask for these GPUs could start, and several nodes train together, as far as the first
step can see."""

import logging
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from data_prep.storage.errors import ConfigError
from maskx_model.launch.cluster import base_runtime
from maskx_model.launch.machines import Machines
from maskx_model.run_config import RunConfig

logger = logging.getLogger(__name__)
T = TypeVar("T")
SECONDS = 10


def check_ranks(run: RunConfig, asked: Machines) -> None:
    """Raises ConfigError where the ranks (nodes times accelerators) cannot share a stage's batch evenly."""
    batches = {"stage1.images_per_batch": run.stage1.images_per_batch}
    if run.crops.steps:
        batches["crops.crops_per_batch"] = run.crops.crops_per_batch
    of_stage2 = "rois_per_batch" if run.stage2.cache_rois else "images_per_batch"
    batches[f"stage2.{of_stage2}"] = getattr(run.stage2, of_stage2)
    for field, batch in batches.items():
        if batch % asked.ranks:
            raise ConfigError(
                f"nodes {asked.nodes}, accelerator_count {asked.count}: {asked.ranks} ranks cannot share {field} "
                f"{batch} evenly; choose a multiple of {asked.ranks}"
            )


def check_trainer(asked: Machines) -> str:
    """Say whether the cluster has what trains on several nodes, or why that cannot be seen.

    Raises:
        ConfigError: it does not have it.
    """
    from kubernetes import client

    runtime, hidden = _seen(lambda: base_runtime(client.CustomObjectsApi()))
    if runtime is None:
        return f"{asked.nodes} nodes: Kubeflow Trainer cannot be seen ({hidden})"
    return f"{asked.nodes} nodes, by a TrainJob"


def check_accelerators(asked: Machines) -> str:
    """Say what the cluster has of the GPUs that are asked for, or why that cannot be seen.

    A pool without a node of now is no error: it may scale from zero.

    Raises:
        ConfigError: the pool has nodes and none of them has as many GPUs of this kind.
    """
    if int(asked.count) == 0:
        return "none asked for: CPUs"
    from kubernetes import client  # its import takes half a second

    wanted = f"{asked.nodes} × {asked.count} × {asked.kind}" if asked.several_nodes else f"{asked.count} × {asked.kind}"
    nodes, hidden = _seen(lambda: client.CoreV1Api().list_node(_request_timeout=SECONDS).items)
    if nodes is None:
        return f"{wanted}; the cluster's nodes cannot be seen ({hidden})"
    pool = [node for node in nodes if _in_pool(node, asked)]
    fitting = [node for node in pool if _count(node, asked.kind) >= int(asked.count)]
    labels = ", ".join(f"{name}={value}" for name, value in asked.node_selector.items())
    if len(fitting) >= int(asked.nodes):
        return f"{wanted}: {len(fitting)} of {len(nodes)} nodes have them"
    if pool and labels and not fitting:
        most = max(_count(node, asked.kind) for node in pool)
        raise ConfigError(f"accelerator_count {asked.count}: no node with {labels} has more than {most} {asked.kind}")
    found = f"{len(fitting)} of {asked.nodes} such nodes" if fitting else "no node has them"
    logger.warning("%s: %s now; the step waits until they appear", wanted, found)
    return f"{wanted}: {found} now{f' among those with {labels}' if labels else ''}; the step will wait"


def _seen(call: Callable[[], T]) -> tuple[T | None, str]:
    """What the API server of this pod's cluster, or else KUBECONFIG's, answers; or None, and why it cannot be seen."""
    from kubernetes import client, config
    from urllib3.exceptions import HTTPError

    try:
        if "KUBERNETES_SERVICE_HOST" in os.environ:
            config.load_incluster_config()
        else:
            config.load_kube_config(os.environ.get("KUBECONFIG"))
        return call(), ""
    except config.ConfigException as error:
        return None, str(error)
    except client.ApiException as error:
        return None, f"{error.status} {error.reason}: the service account may not look"
    except HTTPError as error:
        return None, type(error).__name__


def _in_pool(node: Any, asked: Machines) -> bool:
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
