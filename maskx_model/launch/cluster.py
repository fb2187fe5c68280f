"""The cluster as this step's service account sees it: Kubeflow Trainer's API, and the logs of pods.

A TrainJob and its runtime have one name. The TrainJob itself is written by Kubeflow's SDK, which knows the releases.
"""

import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from data_prep.storage.errors import ConfigError, MaskxError
from maskx_model.launch.machines import Machines
from maskx_model.launch.runtime import BASE, LABEL, NODE, STEP, runtime_for, the

logger = logging.getLogger(__name__)

T = TypeVar("T")
GROUP, VERSION = "trainer.kubeflow.org", "v1alpha1"
JOBS, RUNTIMES = "trainjobs", "trainingruntimes"
POD = "KFP_POD_NAME"
"""Where Kubeflow Pipelines tells a step its pod."""
POLL = 5.0
"""Seconds between two looks at a TrainJob."""
PATIENCE = 600.0
"""Seconds for which the API server may be away; an upgrade of it takes minutes."""
ANSWER = (10.0, 60.0)
"""Seconds to connect, and to wait for an answer. The client takes no single float: it ignores one."""
DELETION = 900.0
"""Seconds for the pods of a deleted TrainJob to end: they have a grace period, and a lost node is noticed late."""
SILENCE = (10.0, 300.0)
"""Seconds to connect, and without a line, after which a log is asked for anew: the connection may be dead."""


class Cluster:
    """The namespace of this step's pod.

    Raises ConfigError where this process is in no step of Kubeflow Pipelines.
    """

    def __init__(self) -> None:
        if POD not in os.environ:
            raise ConfigError("several nodes: this process is in no step of Kubeflow Pipelines; elsewhere nodes is 1")
        from kubeflow.common.types import KubernetesBackendConfig
        from kubeflow.trainer import TrainerClient

        logging.getLogger("kubeflow").setLevel(logging.ERROR)  # warns that it may not read Kubeflow Trainer's release
        self._client = TrainerClient(KubernetesBackendConfig(config_file=os.environ.get("KUBECONFIG")))
        backend = self._client.backend
        self._objects, self._core, self._namespace = backend.custom_api, backend.core_api, backend.namespace

    def job(self, name: str) -> dict[str, Any] | None:
        """The TrainJob as the API has it; None if there is none."""
        return self._get(JOBS, name)

    def check_job(self, job: dict[str, Any], machines: Machines, command: list[str]) -> None:
        """Raises MaskxError if the TrainJob runs another command, another image or another number of nodes."""
        image = the(STEP, self._step()["spec"]["containers"])["image"]
        wanted = {"command": command, "image": image, "numNodes": int(machines.nodes)}
        trainer = job["spec"]["trainer"]
        if other := [field for field, value in wanted.items() if trainer.get(field) != value]:
            name = job["metadata"]["name"]
            raise MaskxError(
                f"TrainJob {name} trains into this folder already, with another {', '.join(other)}; wait for its end, "
                f"delete it (kubectl delete trainjob,trainingruntime {name} -n {self._namespace}), "
                "or train into another folder"
            )

    def create(self, name: str, machines: Machines, command: list[str]) -> None:
        """Create the TrainJob with its runtime.

        Raises:
            ConfigError: the cluster has no Kubeflow Trainer.
            MaskxError: the cluster refuses the TrainJob.
        """
        from kubeflow.trainer import CustomTrainerContainer
        from kubeflow.trainer.options import Name, TrainerCommand

        pod = self._step()
        runtime = runtime_for(name, base_runtime(self._objects), pod, machines)
        where = (GROUP, VERSION, self._namespace, RUNTIMES)
        self._objects.create_namespaced_custom_object(*where, runtime, _request_timeout=ANSWER)
        image = the(STEP, pod["spec"]["containers"])["image"]
        trainer = CustomTrainerContainer(image=image, num_nodes=int(machines.nodes))
        try:
            self._client.train(runtime=name, trainer=trainer, options=[Name(name), TrainerCommand(command)])
        except (RuntimeError, TimeoutError) as error:
            self._delete(RUNTIMES, name)
            raise MaskxError(f"TrainJob {name}: {error}: {reason_of(error.__cause__ or error)}") from error

    def pods(self, name: str) -> dict[int, str]:
        """Node → its newest pod, of those that have begun."""
        try:
            steps = self._client.get_job(name).steps
        except (RuntimeError, TimeoutError) as error:
            logger.warning("TrainJob %s: %s (%s)", name, error, reason_of(error.__cause__ or error))
            return {}
        return {int(step.name.removeprefix(f"{NODE}-")): step.pod_name for step in steps if step.status != "Pending"}

    def log(self, pod: str, follow: bool = False) -> Iterator[str]:
        """The lines of a pod's log so far, or until it ends; as many as can be read."""
        from kubernetes.client import ApiException
        from kubernetes.watch import Watch
        from urllib3.exceptions import HTTPError

        read = self._core.read_namespaced_pod_log
        try:
            yield from Watch().stream(
                read, pod, self._namespace, container=NODE, follow=follow, _request_timeout=SILENCE
            )
        except (ApiException, HTTPError) as error:
            logger.info("the log of pod %s: %s", pod, reason_of(error))

    def delete(self, name: str) -> None:
        """Delete TrainJob and runtime, where they are; the TrainJob is gone when its pods are."""
        for plural in (JOBS, RUNTIMES):
            self._delete(plural, name)

    def wait_until_deleted(self, name: str) -> None:
        """Return when TrainJob and runtime, which are deleted, are gone.

        Raises MaskxError where they are still there after DELETION seconds.
        """
        give_up = time.monotonic() + DELETION
        while self._get(JOBS, name) or self._get(RUNTIMES, name):
            if time.monotonic() > give_up:
                pods = f"pods -l {LABEL}={name} -n {self._namespace}"
                raise MaskxError(
                    f"TrainJob {name}: deleted, and not gone after {DELETION:.0f} seconds; see why its pods do not end "
                    f"(kubectl get {pods}), and if their node is lost, kubectl delete {pods} --force"
                )
            time.sleep(POLL)

    def _step(self) -> dict[str, Any]:
        """This step's pod as the API has it."""
        read = self._core.read_namespaced_pod
        pod = _patiently(lambda: read(os.environ[POD], self._namespace, _request_timeout=ANSWER))
        found: dict[str, Any] = self._core.api_client.sanitize_for_serialization(pod)
        return found

    def _get(self, plural: str, name: str) -> dict[str, Any] | None:
        get = self._objects.get_namespaced_custom_object
        where = (GROUP, VERSION, self._namespace, plural, name)
        return _found(lambda: _patiently(lambda: get(*where, _request_timeout=ANSWER)))

    def _delete(self, plural: str, name: str) -> None:
        delete = self._objects.delete_namespaced_custom_object
        where = (GROUP, VERSION, self._namespace, plural, name)
        _found(lambda: _patiently(lambda: delete(*where, propagation_policy="Foreground", _request_timeout=ANSWER)))


@contextmanager
def refusals_told(name: str) -> Iterator[None]:
    """What the API server refuses becomes a MaskxError with the server's sentence; so does its silence."""
    from kubernetes.client import ApiException
    from urllib3.exceptions import HTTPError

    try:
        yield
    except (ApiException, HTTPError) as error:
        raise MaskxError(f"TrainJob {name}: {reason_of(error)}") from error


def base_runtime(objects: Any) -> dict[str, Any]:
    """The cluster's runtime for torch; `objects`: Kubernetes' API of custom objects. Raises ConfigError without one."""
    get = objects.get_cluster_custom_object
    found = _found(lambda: get(GROUP, VERSION, "clustertrainingruntimes", BASE, _request_timeout=ANSWER))
    if found is None:
        raise ConfigError(
            f"several nodes: the cluster has no runtime {BASE}; install Kubeflow Trainer with its runtimes "
            "(infra/README.md), or set nodes to 1"
        )
    return found


def reason_of(error: BaseException) -> str:
    """What the API server says, of an error that it caused."""
    try:
        return str(json.loads(getattr(error, "body", ""))["message"])
    except (ValueError, TypeError, KeyError):
        return " ".join(str(error).split())


def _found(call: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:
    """What a call to the API server returns; None if it is not there."""
    from kubernetes.client import ApiException

    try:
        return call()
    except ApiException as error:
        if error.status != 404:
            raise
        return None


def _patiently(call: Callable[[], T]) -> T:
    """What a call to the API server returns; it is made again, for PATIENCE seconds, while the server is away."""
    from kubernetes.client import ApiException
    from urllib3.exceptions import HTTPError

    give_up = time.monotonic() + PATIENCE
    while True:
        try:
            return call()
        except (ApiException, HTTPError) as error:
            if getattr(error, "status", 503) < 500 or time.monotonic() > give_up:
                raise
            logger.warning("the cluster's API server does not answer: %s", reason_of(error))
            time.sleep(POLL)
