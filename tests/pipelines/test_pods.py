"""The pods of the product pipeline's steps: what a cluster is asked for, and by which parameters."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from components.image import IMAGE
from data_prep.storage.errors import ConfigError
from pipelines.compiling import compiled, steps_of
from tests.pipelines.product_pipeline import BESIDE, reads


def test_no_step_installs_anything(documents: list[dict[str, Any]]) -> None:
    for executor in documents[0]["deploymentSpec"]["executors"].values():
        assert "pip" not in " ".join(executor["container"]["command"][:-1])


def test_every_step_runs_in_the_image_that_was_asked_for() -> None:
    image = "registry.example/maskx@sha256:" + "0" * 64
    for text, expected in ((compiled(), IMAGE), (compiled(image), image)):
        executors = next(yaml.safe_load_all(text))["deploymentSpec"]["executors"]
        assert {executor["container"]["image"] for executor in executors.values()} == {expected}


TRAININGS = {"exec-train-detector", "exec-train-masks", "exec-train-masks-2"}
WITH_ONE = {"exec-estimate", "exec-evaluate", "exec-register"}


def test_what_a_model_runs_on_asks_for_the_accelerator_shared_memory_and_nodes(documents: list[dict[str, Any]]) -> None:
    executors = documents[0]["deploymentSpec"]["executors"]
    accelerators = {name: each["container"]["resources"].get("accelerator") for name, each in executors.items()}
    counts = {
        name: each["resourceCount"].split("--")[1].removesuffix("']}}") for name, each in accelerators.items() if each
    }
    trains, one = "preflight-train_accelerators", "preflight-one_accelerator"
    assert counts == dict.fromkeys(TRAININGS, trains) | dict.fromkeys(WITH_ONE, one)
    kubernetes = documents[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    for name in TRAININGS | WITH_ONE:
        settings, own = kubernetes[name], "preflight-train_" if name in TRAININGS else "gpu_"
        assert {"mountPath": "/dev/shm", "medium": "Memory", "sizeLimit": "16Gi", "volumeName": "shared-memory"} in (
            settings["emptyDirMounts"]
        )
        assert reads(settings["nodeSelector"]["nodeSelectorJson"]) == f"{own}node_selector"
        assert reads(settings["tolerations"][0]["tolerationJson"]) == f"{own}tolerations"


def pod_fields(executor: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """The fields of a step's container or pod that an input of the step fills: path and the input's name."""
    if isinstance(executor, dict):
        if "componentInputParameter" in executor and isinstance(executor["componentInputParameter"], str):
            yield path, executor["componentInputParameter"]
        for key, value in executor.items():
            yield from pod_fields(value, f"{path}/{key}")
    elif isinstance(executor, list):
        for value in executor:
            yield from pod_fields(value, path)
    elif isinstance(executor, str):
        yield from ((path, name) for name in re.findall(r"\{\{\$\.inputs\.parameters\['([^']+)'\]\}\}", executor))


def test_every_resource_and_pod_field_hangs_on_a_parameter_of_the_type_that_the_server_reads(
    documents: list[dict[str, Any]],
) -> None:
    """KFP's driver reads resources and names as text and skips others without a word; only what Kubernetes itself takes
    as an object (node selector) or as a list (tolerations) is one. It looks for a resource among the step's inputs, and
    for a field of the pod among those of the group that the step stands in."""
    spec, platform = documents
    objects = {"/nodeSelector/nodeSelectorJson": "STRUCT", "/tolerations/tolerationJson": "LIST"}
    fields = 0
    for group in (spec["root"], *(each for each in spec["components"].values() if "dag" in each)):
        group_inputs = group["inputDefinitions"]["parameters"]
        for step in group["dag"]["tasks"].values():
            label = spec["components"][step["componentRef"]["name"]].get("executorLabel")
            if label is None:
                continue
            resources = spec["deploymentSpec"]["executors"][label]["container"]["resources"]
            of_pod = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"][label]
            named = [
                (path, step["inputs"]["parameters"][name]["componentInputParameter"])
                for path, name in pod_fields(resources)
                if name.startswith("pipelinechannel--")
            ]
            for path, name in [*named, *pod_fields(of_pod)]:
                assert group_inputs[name]["parameterType"] == objects.get(path, "STRING"), f"{label}{path}: {name}"
                fields += 1
    assert fields >= 60


def test_every_step_says_what_it_needs(documents: list[dict[str, Any]]) -> None:
    for executor in documents[0]["deploymentSpec"]["executors"].values():
        resources = executor["container"]["resources"]
        assert {"resourceCpuRequest", "resourceMemoryRequest", "resourceMemoryLimit"} <= set(resources)


@pytest.mark.parametrize("pipeline", ["maskx_vg3000", "coco_split_study", "maskx_predict"])
def test_a_step_that_is_lost_after_weeks_is_tried_again(pipeline: str) -> None:
    """Argo counts the longest duration from the beginning of the first try, and ends a later try when it is over."""
    spec = next(yaml.safe_load_all(BESIDE.with_stem(pipeline).read_text(encoding="utf-8")))
    policies = [step["retryPolicy"] for step in steps_of(spec).values() if "retryPolicy" in step]
    windows = {each["backoffMaxDuration"] for each in policies if each.get("maxRetryCount", 0) > 0}
    assert windows == {f"{365 * 24 * 3600}s"}


@pytest.mark.parametrize("file", ["maskx_vg3000.yaml", "coco_split_study.yaml"])
def test_the_preflight_checks_every_size(file: str) -> None:
    spec = next(yaml.safe_load_all(BESIDE.with_name(file).read_text(encoding="utf-8")))
    parameters = spec["root"]["inputDefinitions"]["parameters"]
    given = steps_of(spec)["preflight"]["inputs"]["parameters"]["sizes"]["runtimeValue"]["constant"]
    assert set(given) == {name for name in parameters if name.endswith(("cpu", "memory"))}


def test_every_step_sees_the_volume(documents: list[dict[str, Any]]) -> None:
    steps = set(documents[0]["deploymentSpec"]["executors"])
    executors = documents[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert set(executors) == steps
    for settings in executors.values():
        assert settings["pvcMount"][0]["mountPath"] == "/data"
        assert reads(settings["pvcMount"][0]["pvcNameParameter"]) == "volume_claim"


def test_every_step_runs_as_the_user_of_the_image_with_a_scratch_volume(documents: list[dict[str, Any]]) -> None:
    of_pods = documents[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    for label, executor in documents[0]["deploymentSpec"]["executors"].items():
        assert of_pods[label]["securityContext"] == {"runAsUser": "1000", "runAsGroup": "1000", "runAsNonRoot": True}
        scratch = next(mount for mount in of_pods[label]["emptyDirMounts"] if mount["volumeName"] == "scratch")
        assert {"name": "MASKX_SCRATCH", "value": scratch["mountPath"]} in executor["container"]["env"]


def test_on_this_machine_scratch_files_go_where_the_user_says() -> None:
    spec = next(yaml.safe_load_all(compiled(on_cluster=False)))
    assert not any("env" in executor["container"] for executor in spec["deploymentSpec"]["executors"].values())


def test_volumes_have_the_sizes_that_were_asked_for() -> None:
    of_pods = list(yaml.safe_load_all(compiled(sizes={"shared-memory": "64Gi"})))[1]["platforms"]["kubernetes"]
    for settings in of_pods["deploymentSpec"]["executors"].values():
        sizes = {mount["volumeName"]: mount["sizeLimit"] for mount in settings["emptyDirMounts"]}
        assert sizes in ({"scratch": "50Gi"}, {"scratch": "50Gi", "shared-memory": "64Gi"})


@pytest.mark.parametrize(("sizes", "expected"), [(None, 30 << 30), ({"scratch": "100Gi"}, 60 << 30)])
def test_copies_leave_room_on_the_scratch_volume(sizes: dict[str, str] | None, expected: int) -> None:
    """Beyond its size Kubernetes ends the pod, and each further try in the same way."""
    spec = next(yaml.safe_load_all(compiled(sizes=sizes)))
    for executor in spec["deploymentSpec"]["executors"].values():
        values = {each["name"]: each["value"] for each in executor["container"]["env"]}
        assert int(values["MASKX_SCRATCH_BYTES"]) == expected


def test_a_size_that_kubernetes_would_refuse_is_refused() -> None:
    with pytest.raises(ConfigError, match="--scratch '50 GB': write a size as Kubernetes does"):
        compiled(sizes={"scratch": "50 GB"})


def test_secrets_come_by_name_and_may_be_absent(documents: list[dict[str, Any]]) -> None:
    """Their values are nowhere: the file names keys and variables only."""
    for settings in documents[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"].values():
        names = {reads(each["secretNameParameter"]) for each in settings["secretAsEnv"]}
        assert names == {"s3_secret", "mlflow_secret"}
        assert all(each["optional"] for each in settings["secretAsEnv"])
        for key in (key for each in settings["secretAsEnv"] for key in each["keyToEnv"]):
            assert set(key) == {"secretKey", "envVar"}
    for executor in documents[0]["deploymentSpec"]["executors"].values():
        assert {variable["name"] for variable in executor["container"]["env"]} == {
            "MASKX_SCRATCH",
            "MASKX_SCRATCH_BYTES",
        }
