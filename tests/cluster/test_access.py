"""What the accounts of infra/kubernetes may do: the API server's word, and real requests with their tokens."""

import pytest
import yaml

from tests.cluster.cluster import Cluster

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.usefixtures("overlay"),
    pytest.mark.parametrize("overlay", ["dev"], indirect=True),
]
MAY = [
    "create workflowtaskresults.argoproj.io",
    "patch workflowtaskresults.argoproj.io",
    "get configmaps/kfp-launcher",
    "get secrets/mlpipeline-minio-artifact",
    "create trainjobs.trainer.kubeflow.org",
    "delete trainjobs.trainer.kubeflow.org",
    "create trainingruntimes.trainer.kubeflow.org",
    "get clustertrainingruntimes.trainer.kubeflow.org/torch-distributed",
    "list pods",
    "get pods --subresource=log",
    "list nodes",
]
MAY_NOT = [
    "get secrets/maskx-s3",
    "list secrets",
    "list configmaps",
    "create pods",
    "delete pods",
    "create pods --subresource=exec",
    "patch trainjobs.trainer.kubeflow.org",
    "patch clustertrainingruntimes.trainer.kubeflow.org",
    "create jobsets.jobset.x-k8s.io",
    "create jobs.batch",
    "patch nodes",
    "create serviceaccounts --subresource=token",
    "create rolebindings.rbac.authorization.k8s.io",
]


@pytest.fixture(scope="module")
def step(cluster: Cluster, overlay: str) -> str:
    """A token of the account that steps run under."""
    return cluster.kubectl("create", "token", "maskx-step", "--namespace=kubeflow").stdout


def answer(cluster: Cluster, token: str, what: str) -> str:
    asked = cluster.kubectl("auth", "can-i", *what.split(), "--namespace=kubeflow", token=token, check=False)
    return asked.stdout.strip()


@pytest.mark.parametrize("what", MAY)
def test_a_step_may(cluster: Cluster, step: str, what: str) -> None:
    assert answer(cluster, step, what) == "yes"


@pytest.mark.parametrize("what", MAY_NOT)
def test_a_step_may_not(cluster: Cluster, step: str, what: str) -> None:
    assert answer(cluster, step, what) == "no"


def test_a_step_reads_the_one_secret_that_it_needs(cluster: Cluster, step: str) -> None:
    for name in ("mlpipeline-minio-artifact", "maskx-s3"):
        cluster.kubectl("create", "secret", "generic", name, "--namespace=kubeflow", "--from-literal=key=value")
    read = cluster.kubectl("get", "secret", "mlpipeline-minio-artifact", "--namespace=kubeflow", "-oyaml", token=step)
    assert yaml.safe_load(read.stdout)["data"] == {"key": "dmFsdWU="}
    for asked in (["secret", "maskx-s3"], ["secrets"]):
        refused = cluster.kubectl("get", *asked, "--namespace=kubeflow", token=step, check=False)
        assert 'User "system:serviceaccount:kubeflow:maskx-step" cannot' in refused.stderr


def test_a_step_sees_nodes_and_no_other_namespace(cluster: Cluster, step: str) -> None:
    assert "gpu-0" in cluster.kubectl("get", "nodes", token=step).stdout
    refused = cluster.kubectl("get", "pods", "--namespace=maskx", token=step, check=False)
    assert 'cannot list resource "pods" in API group "" in the namespace "maskx"' in refused.stderr


@pytest.mark.parametrize("account", ["mlflow", "postgres", "object-store"])
def test_a_service_may_do_nothing_and_has_no_token(cluster: Cluster, account: str) -> None:
    token = cluster.kubectl("create", "token", account, "--namespace=maskx").stdout
    refused = cluster.kubectl("get", "pods,secrets,configmaps", "--namespace=maskx", token=token, check=False)
    assert refused.stderr.count("Forbidden") == 3
    pods = cluster.wait_for("a pod", lambda: cluster.get("pods", "--namespace=maskx", f"--selector=app={account}"))
    assert [volume for volume in pods[0]["spec"]["volumes"] if "projected" in volume] == []
