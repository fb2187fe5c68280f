"""The part of a cluster's API that a training on several nodes uses, as an HTTP server that keeps what it is given.

The runtime and the objects look as those of Kubernetes 1.34 and Kubeflow Trainer 2.0. No pod runs: tests say what
pods write, and how the TrainJob ends.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.recording_server import Answer, Asked, Recorder, recording_server

TRAINER = "/apis/trainer.kubeflow.org/v1alpha1"
JOBS = f"{TRAINER}/namespaces/default/trainjobs"
RUNTIMES = f"{TRAINER}/namespaces/default/trainingruntimes"
PODS = "/api/v1/namespaces/default/pods"
IDENTITY = "/var/run/secrets/eks.amazonaws.com/serviceaccount"
"""Where EKS gives a pod the token by which S3 knows its role."""
BASE: dict[str, Any] = {
    "apiVersion": "trainer.kubeflow.org/v1alpha1",
    "kind": "ClusterTrainingRuntime",
    "metadata": {"name": "torch-distributed"},
    "spec": {
        "mlPolicy": {"numNodes": 1, "torch": {"numProcPerNode": "auto"}},
        "template": {
            "spec": {
                "replicatedJobs": [
                    {
                        "name": "node",
                        "replicas": 1,
                        "template": {
                            "metadata": {"labels": {"trainer.kubeflow.org/trainjob-ancestor-step": "trainer"}},
                            "spec": {
                                "template": {
                                    "spec": {"containers": [{"name": "node", "image": "pytorch", "command": ["sh"]}]}
                                }
                            },
                        },
                    }
                ]
            }
        },
    },
}
IMAGE = "registry.example/maskx@sha256:0"
STEP: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "step", "namespace": "default"},
    "spec": {
        "serviceAccountName": "maskx-step",
        "priorityClassName": "maskx-training",
        "terminationGracePeriodSeconds": 110,
        "nodeSelector": {"pool": "cpu"},
        "containers": [
            {"name": "wait", "image": "argoexec"},
            {
                "name": "main",
                "image": IMAGE,
                "env": [
                    {"name": "ARGO_TEMPLATE", "value": "{}"},
                    {"name": "MASKX_SCRATCH", "value": "/scratch"},
                    {
                        "name": "AWS_SECRET_ACCESS_KEY",
                        "valueFrom": {
                            "secretKeyRef": {"name": "maskx-s3", "key": "AWS_SECRET_ACCESS_KEY", "optional": True}
                        },
                    },
                    {"name": "AWS_WEB_IDENTITY_TOKEN_FILE", "value": f"{IDENTITY}/token"},
                ],
                "securityContext": {"runAsUser": 1000, "runAsNonRoot": True},
                "volumeMounts": [
                    {"name": "maskx", "mountPath": "/data"},
                    {"name": "shared-memory", "mountPath": "/dev/shm"},
                    {"name": "aws-iam-token", "mountPath": IDENTITY, "readOnly": True},
                    {"name": "kube-api-access-7xq2v", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"},
                ],
            },
        ],
        "volumes": [
            {"name": "maskx", "persistentVolumeClaim": {"claimName": "maskx"}},
            {"name": "shared-memory", "emptyDir": {"medium": "Memory", "sizeLimit": "16Gi"}},
            {
                "name": "aws-iam-token",
                "projected": {"sources": [{"serviceAccountToken": {"audience": "sts.amazonaws.com", "path": "token"}}]},
            },
            {
                "name": "kube-api-access-7xq2v",
                "projected": {"sources": [{"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}}]},
            },
        ],
    },
}
MISSING: Answer = (404, {"kind": "Status", "message": "not found"})


class SmallCluster:
    """What the API server knows.

    `logs`: node → what its pod writes. `ends`: after how many looks at the TrainJob it ends, and in which condition.
    `write_model`: what its ranks do before it is complete. `restarts`: from which of these looks on its pods are new
    ones. `refusal`: why a TrainJob is refused; empty if it is not. `has_trainer`: whether Kubeflow Trainer is there.
    `silent`: the method, and how the path begins, of what is not answered for seconds. `pods_stay`: whether pods of
    deleted TrainJobs never end, as on a lost node.
    """

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.logs = {0: "rank 0 begins\nrank 0 is done\n", 1: ""}
        self.ends = (2, "Complete", "JobsCompleted", "all done")
        self.write_model: Callable[[], object] = lambda: None
        self.restarts = 99
        self.refusal = ""
        self.has_trainer = True
        self.silent: tuple[str, str] | None = None
        self.pods_stay = False
        self._looks = 0

    def __call__(self, asked: Asked) -> Answer:
        path, _, query = asked.path.partition("?")
        if self.silent and asked.method == self.silent[0] and path.startswith(self.silent[1]):
            time.sleep(5)
        fixed = {f"{PODS}/step": STEP}
        if self.has_trainer:
            fixed[f"{TRAINER}/clustertrainingruntimes/torch-distributed"] = BASE
        if path.endswith("/log"):
            return self.log(int(path.split("-node-0-")[1].partition("-")[0]))
        if path == PODS:
            return 200, {"kind": "PodList", "items": [self._pod(node, query) for node in self.logs]}
        if path in fixed:
            return 200, fixed[path]
        return self._create(path, asked.json()) if asked.method == "POST" else self._object(asked.method, path)

    def log(self, node: int) -> Answer:
        """What the node's pod has written."""
        return 200, self.logs[node].encode()

    def _create(self, path: str, content: dict[str, Any]) -> Answer:
        if self.refusal and path == JOBS:
            return 403, {"kind": "Status", "message": self.refusal}
        content["metadata"] |= {"namespace": "default", "creationTimestamp": "2026-11-28T18:00:00Z"}
        self.objects[f"{path}/{content['metadata']['name']}"] = content
        return 201, content

    def _object(self, method: str, path: str) -> Answer:
        if path not in self.objects:
            return MISSING
        if method == "DELETE" and self.pods_stay:
            self.objects[path]["metadata"]["deletionTimestamp"] = "2026-11-28T18:02:00Z"
            return 200, self.objects[path]
        if method == "DELETE":
            return 200, self.objects.pop(path)
        if path.startswith(JOBS):
            self._look(self.objects[path])
        return 200, self.objects[path]

    def _look(self, job: dict[str, Any]) -> None:
        self._looks += 1
        looks, kind, reason, message = self.ends
        if self._looks >= looks and not job.get("status", {}).get("conditions"):
            if kind == "Complete":
                self.write_model()
            condition = {"type": kind, "status": "True", "reason": reason, "message": message}
            job["status"] = {"conditions": [condition | {"lastTransitionTime": "2026-11-28T18:01:00Z"}]}

    def _pod(self, node: int, query: str) -> dict[str, Any]:
        job = query.partition("jobset-name%3D")[2].partition("%2C")[0]
        name = f"{job}-node-0-{node}-{'again' if self._looks >= self.restarts else 'first'}"
        labels = {
            "jobset.sigs.k8s.io/replicatedjob-name": "node",
            "batch.kubernetes.io/job-completion-index": str(node),
        }
        return {
            "metadata": {"name": name, "labels": labels, "creationTimestamp": "2026-11-28T18:00:01Z"},
            "spec": {"containers": [{"name": "node", "image": "maskx"}]},
            "status": {"phase": "Running"},
        }


@contextmanager
def small_cluster(cluster: SmallCluster, folder: Path) -> Iterator[tuple[Recorder, dict[str, str]]]:
    """Serve it; yields the requests, and the environment that a step's pod has."""
    with recording_server(cluster) as server:
        configuration = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": "default"}}],
            "clusters": [{"name": "test", "cluster": {"server": server.url}}],
            "users": [{"name": "test", "user": {}}],
        }
        (folder / "kubeconfig").write_text(yaml.safe_dump(configuration))
        yield server, {"KUBECONFIG": str(folder / "kubeconfig"), "KFP_POD_NAME": "step"}
