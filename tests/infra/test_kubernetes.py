"""The manifests: what kubectl renders fits Kubernetes' schemas, and holds to the rules of their README.

`tests/cluster` applies them to an API server. Names that only a cloud knows (its drivers of volumes) are not checked.
"""

from typing import Any

import kubernetes_validate
import pytest
import yaml

from components.image import IMAGE
from maskx_model.launch.runtime import LABEL
from tests.infra.rendered import CLUSTERS, KUBERNETES, SERVING, needs_kubectl, pods, rendered, the

pytestmark = needs_kubectl
ALL = CLUSTERS + SERVING
VERSION = "1.34"
PIPELINE = KUBERNETES.parents[1] / "pipelines" / "maskx_vg3000.yaml"
CLUSTER_WIDE = {"Namespace", "PriorityClass", "ClusterRole", "ClusterRoleBinding", "StorageClass"}


@pytest.mark.parametrize("folder", ALL)
def test_every_object_fits_its_schema(folder: str) -> None:
    for each in rendered(folder):
        kubernetes_validate.validate(each, VERSION, strict=True)


def test_a_misspelled_field_would_be_found() -> None:
    wrong = the("serving", "Service", "serving") | {"spec": {"selectors": {"app": "serving"}}}
    with pytest.raises(kubernetes_validate.ValidationError, match="selectors"):
        kubernetes_validate.validate(wrong, VERSION, strict=True)


@pytest.mark.parametrize("folder", ALL)
def test_every_object_says_its_namespace(folder: str) -> None:
    for each in rendered(folder):
        assert ("namespace" in each["metadata"]) == (each["kind"] not in CLUSTER_WIDE), each["metadata"]["name"]


@pytest.mark.parametrize("folder", ALL)
def test_pods_pass_the_namespaces_rule_and_have_no_token(folder: str) -> None:
    assert pods(folder)
    for name, pod in pods(folder).items():
        assert pod["automountServiceAccountToken"] is False, name
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert pod["priorityClassName"] == "maskx-service", name
        for container in pod["containers"]:
            locked = container["securityContext"]
            assert locked["allowPrivilegeEscalation"] is False, name
            assert locked["capabilities"] == {"drop": ["ALL"]}, name
            assert locked["readOnlyRootFilesystem"] is True, name
            assert {"requests", "limits"} <= set(container["resources"]), name


@pytest.mark.parametrize("folder", ALL)
def test_services_network_policies_and_accounts_meet_their_pods(folder: str) -> None:
    objects = rendered(folder)
    workloads = [each for each in objects if each["kind"] in ("Deployment", "StatefulSet")]
    labels = [each["spec"]["template"]["metadata"]["labels"] for each in workloads]
    accounts = {each["metadata"]["name"] for each in objects if each["kind"] == "ServiceAccount"}
    assert {each["spec"]["template"]["spec"]["serviceAccountName"] for each in workloads} <= accounts
    for each in objects:
        if each["kind"] == "Service":
            assert [found for found in labels if each["spec"]["selector"].items() <= found.items()]
        if each["kind"] == "NetworkPolicy" and each["metadata"]["namespace"] == "maskx":
            wanted = each["spec"]["podSelector"].get("matchLabels", {})
            assert [found for found in labels if wanted.items() <= found.items()], each["metadata"]["name"]


@pytest.mark.parametrize("folder", ALL)
def test_secrets_are_named_and_never_written(folder: str) -> None:
    assert not [each for each in rendered(folder) if each["kind"] == "Secret"]
    for pod in pods(folder).values():
        for variable in (each for container in pod["containers"] for each in container.get("env", [])):
            if "PASSWORD" in variable["name"] or "SECRET" in variable["name"]:
                assert "value" not in variable, variable["name"]


@pytest.mark.parametrize("folder", CLUSTERS)
def test_a_step_may_do_little(folder: str) -> None:
    rules = the(folder, "Role", "maskx-step")["rules"] + the(folder, "ClusterRole", "maskx-step")["rules"]
    for rule in rules:
        assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
        assert "secrets" not in rule["resources"] or rule["resourceNames"] == ["mlpipeline-minio-artifact"]
    changed = [rule["resources"] for rule in rules if set(rule["verbs"]) & {"create", "update", "patch", "delete"}]
    assert changed == [["workflowtaskresults"], ["trainjobs", "trainingruntimes"]]


@pytest.mark.parametrize("folder", CLUSTERS)
def test_only_the_ranks_of_trainings_reach_each_other(folder: str) -> None:
    (ingress,) = the(folder, "NetworkPolicy", "maskx-ranks")["spec"]["ingress"]
    ranks = {"matchExpressions": [{"key": LABEL, "operator": "Exists"}]}
    assert ingress == {"from": [{"podSelector": ranks}]}
    assert the(folder, "NetworkPolicy", "maskx-ranks")["spec"]["podSelector"] == ranks


@pytest.mark.parametrize("folder", CLUSTERS)
def test_nothing_is_open_that_no_policy_opens(folder: str) -> None:
    closed = the(folder, "NetworkPolicy", "nothing-but-names")["spec"]
    assert closed["podSelector"] == {}
    assert closed["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in closed


@pytest.mark.parametrize("folder", ["overlays/gpu", "overlays/spot"])
def test_on_aws_accounts_have_roles_and_no_keys(folder: str) -> None:
    for name in ("mlflow", "maskx-step"):
        role = the(folder, "ServiceAccount", name)["metadata"]["annotations"]["eks.amazonaws.com/role-arn"]
        assert role == f"arn:aws:iam::ACCOUNT:role/maskx-{name.removeprefix('maskx-')}"
    (server,) = pods(folder)["mlflow"]["containers"]
    assert server["envFrom"] == [{"configMapRef": {"name": "mlflow"}}]
    assert server["image"] == "REGISTRY/maskx-tracking@sha256:DIGEST"


def test_images_have_the_version_of_the_steps_image() -> None:
    version = IMAGE.rpartition(":")[2]
    assert pods("overlays/dev")["mlflow"]["containers"][0]["image"] == f"maskx-tracking:{version}"
    assert pods("serving")["serving"]["containers"][0]["image"] == f"maskx-serve:{version}"


def parameters(folder: str) -> dict[str, Any]:
    return dict(yaml.safe_load((KUBERNETES / folder / "run.yaml").read_text(encoding="utf-8")))


@pytest.mark.parametrize("folder", ["overlays/gpu", "overlays/spot"])
def test_a_runs_parameters_are_the_pipelines(folder: str) -> None:
    known = next(yaml.safe_load_all(PIPELINE.read_text(encoding="utf-8")))["root"]["inputDefinitions"]["parameters"]
    types = {"STRING": str, "LIST": list, "STRUCT": dict}
    for name, value in parameters(folder).items():
        assert isinstance(value, types[known[name]["parameterType"]]), name


@pytest.mark.parametrize("folder", ["overlays/gpu", "overlays/spot"])
def test_serving_goes_to_the_pool_of_the_runs(folder: str) -> None:
    pod, run = pods(f"{folder}/serving")["serving"], parameters(folder)
    assert pod["nodeSelector"] == run["gpu_node_selector"]
    assert pod["tolerations"] == run["gpu_tolerations"]
    assert pod["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"
