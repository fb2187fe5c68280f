"""What a step's pod gets on a cluster: CPU, memory, GPUs, volumes, secrets, its user, and further attempts.

Every value that a parameter of the pipeline gives is text: KFP's driver passes over a resource that is a number without
a word. `/dev/shm`, the scratch volume, the user and the retries are fixed when the pipeline is compiled.
"""

from dataclasses import dataclass
from typing import Any

from kfp import kubernetes

from maskx_model.launch.machines import quantity

DATA = "/data"
"""Where every step sees the volume."""
SCRATCH = "/scratch"
"""Where local copies of remote files go, instead of the container's own file system, which is small and unlimited."""
SHARED_MEMORY, SCRATCH_VOLUME = "shared-memory", "scratch"
SIZES = {SHARED_MEMORY: "16Gi", SCRATCH_VOLUME: "50Gi"}
"""Volume → size, unless `maskx pipeline compile` gives another. Loaders hand batches over through the first."""
SCRATCH_BYTES = "MASKX_SCRATCH_BYTES"
"""The variable that bounds the copies on the scratch volume: beyond the volume's size Kubernetes ends the pod."""
FOR_COPIES = 0.6
"""Their part of the volume; the rest is for Beam's files, and for a zip while it is unpacked."""
USER = 1000
"""The user of the image (`infra/images/Dockerfile`), by number so that Kubernetes can see that it is not root."""
S3_KEYS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_REGION",
    "AWS_ENDPOINT_URL_S3",
)
MLFLOW_KEYS = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")
RETRIES = 3
BACKOFF, BACKOFF_FACTOR = "60s", 2.0
RETRIES_ON_GPUS, BACKOFF_ON_GPUS = 10, "120s"
RETRY_WINDOW = "8760h"
"""A year: no step lasts so long. Argo counts it from the beginning of the first try, starts no try when it is over, and
ends one that runs then; KFP's default is an hour. It does not bound a pause."""


@dataclass(frozen=True)
class Cluster:
    """Parameters of the pipeline that pods of all steps have in common."""

    volume_claim: Any
    s3_secret: Any
    mlflow_secret: Any

    def settle(self, task: Any, cpu: Any, memory: Any) -> None:
        """Give a step its resources, volumes, secrets and user, and turn off KFP's cache: each step finds what is done.

        `cpu` is requested and may be exceeded; `memory` is requested, and its limit.
        """
        task.set_caching_options(False)
        _pass_on(task, cpu, memory)
        task.set_cpu_request(cpu).set_memory_request(memory).set_memory_limit(memory)
        kubernetes.set_security_context(task, run_as_user=USER, run_as_group=USER, run_as_non_root=True)
        kubernetes.mount_pvc(task, pvc_name=self.volume_claim, mount_path=DATA)
        kubernetes.empty_dir_mount(task, SCRATCH_VOLUME, SCRATCH, size_limit=SIZES[SCRATCH_VOLUME])
        task.set_env_variable("MASKX_SCRATCH", SCRATCH)
        task.set_env_variable(SCRATCH_BYTES, copies_on(SIZES[SCRATCH_VOLUME]))
        for secret, keys in ((self.s3_secret, S3_KEYS), (self.mlflow_secret, MLFLOW_KEYS)):
            kubernetes.use_secret_as_env(task, secret, {key: key for key in keys}, optional=True)


@dataclass(frozen=True)
class Pool:
    """The nodes of a step with accelerators, and how many of these it has."""

    accelerator_type: Any
    accelerator_count: Any
    node_selector: Any
    tolerations: Any

    def give(self, task: Any) -> None:
        """Give a step GPUs of the pool, the memory through which its loader's processes hand batches over, and tries
        enough for days on spot nodes: each resumes."""
        _pass_on(task, self.accelerator_type, self.accelerator_count)
        task.set_accelerator_type(self.accelerator_type).set_accelerator_limit(self.accelerator_count)
        kubernetes.add_node_selector_json(task, self.node_selector)
        kubernetes.add_toleration_json(task, self.tolerations)
        kubernetes.empty_dir_mount(task, SHARED_MEMORY, "/dev/shm", "Memory", SIZES[SHARED_MEMORY])
        task.set_retry(RETRIES_ON_GPUS, BACKOFF_ON_GPUS, 1.0, RETRY_WINDOW)


def copies_on(size: str) -> str:
    """The bytes that copies may take of a scratch volume of this size, written as Kubernetes does."""
    return str(int(FOR_COPIES * quantity(size)))


def retry(task: Any) -> None:
    """Try a step again that fails, after growing pauses. It resumes, and how long it has run does not matter."""
    task.set_retry(RETRIES, BACKOFF, BACKOFF_FACTOR, RETRY_WINDOW)


def fail_at_once(task: Any) -> None:
    """Never try a step again, whatever Argo's defaults are (`infra/argo`): what it finds no retry can mend."""
    task.set_retry(0)


def _pass_on(task: Any, *parameters: Any) -> None:
    """Make parameters inputs of the step: within a group KFP's compiler overlooks those that only a resource reads."""
    task.register_pipeline_channels(list(parameters))
