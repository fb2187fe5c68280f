"""The product pipeline as it is compiled: what a cluster is asked to do."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.image import IMAGE
from data_prep.storage.errors import ConfigError
from pipelines.compiling import compiled, steps_of, tasks_of

BESIDE = Path(__file__).parents[2] / "pipelines" / "maskx_vg3000.yaml"


@pytest.fixture(scope="module")
def documents() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(BESIDE.read_text(encoding="utf-8")))


def test_the_yaml_beside_the_pipeline_is_in_step_with_it() -> None:
    assert BESIDE.read_text(encoding="utf-8") == compiled(), "run `make pipeline`"


def test_the_parameters_are_a_fixed_surface(documents: list[dict[str, Any]]) -> None:
    parameters = documents[0]["root"]["inputDefinitions"]["parameters"]
    assert {name: each.get("defaultValue") for name, each in parameters.items()} == {
        "root": None,
        "tracking_uri": None,
        "sources": [],
        "preset": "",
        "config": "",
        "overrides": [],
        "classes": -1.0,
        "max_rejected": -1.0,
        "exif": "auto",
        "mask_classes": "",
        "seed": -1.0,
        "weights": "",
        "registered_name": "maskx",
        "dated": False,
        "only_if_changed": False,
        "estimate": True,
        "volume_claim": "maskx",
        "s3_secret": "maskx-s3",
        "mlflow_secret": "maskx-mlflow",
        "light_cpu": "1",
        "light_memory": "4Gi",
        "prepare_cpu": "8",
        "prepare_memory": "16Gi",
        "detector_cpu": "8",
        "detector_memory": "64Gi",
        "masks_cpu": "8",
        "masks_memory": "64Gi",
        "evaluate_cpu": "8",
        "evaluate_memory": "32Gi",
        "nodes": "1",
        "accelerator_type": "nvidia.com/gpu",
        "accelerator_count": "1",
        "gpu_node_selector": {},
        "gpu_tolerations": [],
    }
    assert [name for name, each in parameters.items() if not each.get("isOptional")] == ["root", "tracking_uri"]
    assert all(each["description"] for each in parameters.values())


def test_no_step_installs_anything(documents: list[dict[str, Any]]) -> None:
    for executor in documents[0]["deploymentSpec"]["executors"].values():
        assert "pip" not in " ".join(executor["container"]["command"][:-1])


def test_every_step_runs_in_the_image_that_was_asked_for() -> None:
    image = "registry.example/maskx@sha256:" + "0" * 64
    for text, expected in ((compiled(), IMAGE), (compiled(image), image)):
        executors = next(yaml.safe_load_all(text))["deploymentSpec"]["executors"]
        assert {executor["container"]["image"] for executor in executors.values()} == {expected}


def test_the_two_heads_of_stage_2_do_not_wait_for_each_other(documents: list[dict[str, Any]]) -> None:
    tasks = steps_of(documents[0])
    heads = {name: task for name, task in tasks.items() if task["taskInfo"]["name"].startswith("masks-")}
    assert len(heads) == 2
    assert all(not set(task["dependentTasks"]) & set(heads) for task in heads.values())


def test_steps_are_tried_again_but_the_first_and_the_last(documents: list[dict[str, Any]]) -> None:
    steps = steps_of(documents[0])
    again = {name for name, step in steps.items() if step.get("retryPolicy", {}).get("maxRetryCount", 0) > 0}
    assert set(steps) - again == {"preflight", "finish"}
    assert steps["preflight"]["retryPolicy"] is not None  # none at all would mean Argo's default
    assert all(steps[name]["retryPolicy"]["backoffFactor"] > 1 for name in again)


def test_no_step_is_taken_from_the_cache(documents: list[dict[str, Any]]) -> None:
    assert all(step["cachingOptions"] == {} for step in steps_of(documents[0]).values())


def test_the_last_step_runs_however_the_others_end(documents: list[dict[str, Any]]) -> None:
    (finish,) = (step for name, step in steps_of(documents[0]).items() if name == "finish")
    assert finish["triggerPolicy"]["strategy"] == "ALL_UPSTREAM_TASKS_COMPLETED"
    (group,) = finish["dependentTasks"]
    assert finish["inputs"]["parameters"]["status"] == {"taskFinalStatus": {"producerTask": group}}


def test_all_that_costs_waits_for_the_preflight_to_find_a_change(documents: list[dict[str, Any]]) -> None:
    tasks = tasks_of(documents[0])
    (name,) = (name for name, task in tasks.items() if "condition" in task.get("triggerPolicy", {}))
    condition = " ".join(tasks[name]["triggerPolicy"]["condition"].split())
    assert condition == "inputs.parameter_values['pipelinechannel--preflight-Output'] == 'changed'"
    inside = documents[0]["components"][tasks[name]["componentRef"]["name"]]["dag"]["tasks"]
    assert set(steps_of(documents[0])) - set(inside) == {"preflight", "finish"}


def reads(field: dict[str, str]) -> str:
    """The pipeline's parameter that fills a field; within a group it has a prefix."""
    return field["componentInputParameter"].removeprefix("pipelinechannel--")


TRAININGS = {"exec-train-detector", "exec-train-masks", "exec-train-masks-2"}
WITH_ONE = {"exec-estimate", "exec-evaluate"}


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


def test_a_training_is_told_the_nodes_that_were_asked_for(documents: list[dict[str, Any]]) -> None:
    """Its own pod's resources, which are small where it follows a TrainJob, come beside, under KFP's names for them."""
    expected = {
        "nodes": "nodes",
        "node_accelerators": "accelerator_count",
        "accelerator_kind": "accelerator_type",
        "node_selector": "gpu_node_selector",
        "tolerations": "gpu_tolerations",
    }
    for name, step in steps_of(documents[0]).items():
        if name.startswith("train-"):
            stage = "detector" if name == "train-detector" else "masks"
            sizes = {"node_cpu": f"{stage}_cpu", "node_memory": f"{stage}_memory"}
            given = step["inputs"]["parameters"]
            assert {field: reads(given[field]) for field in expected | sizes} == expected | sizes


def test_the_estimate_reaches_the_registry(documents: list[dict[str, Any]]) -> None:
    steps = steps_of(documents[0])
    assert reads(steps["estimate"]["inputs"]["parameters"]["wanted"]) == "estimate"
    assert steps["register"]["inputs"]["parameters"]["estimate"]["taskOutputParameter"]["producerTask"] == "estimate"


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


def test_the_compiled_text_is_ascii() -> None:
    """A database in latin1 refuses a run whose description has any other character."""
    assert BESIDE.read_text(encoding="utf-8").isascii()


def test_every_step_sees_the_volume(documents: list[dict[str, Any]]) -> None:
    steps = set(documents[0]["deploymentSpec"]["executors"])
    executors = documents[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert set(executors) == steps
    for settings in executors.values():
        assert settings["pvcMount"][0]["mountPath"] == "/data"
        assert reads(settings["pvcMount"][0]["pvcNameParameter"]) == "volume_claim"


def test_every_step_says_what_it_needs(documents: list[dict[str, Any]]) -> None:
    for executor in documents[0]["deploymentSpec"]["executors"].values():
        resources = executor["container"]["resources"]
        assert {"resourceCpuRequest", "resourceMemoryRequest", "resourceMemoryLimit"} <= set(resources)


def test_every_step_runs_as_the_user_of_the_image_with_a_scratch_volume(documents: list[dict[str, Any]]) -> None:
    of_pods = documents[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    for label, executor in documents[0]["deploymentSpec"]["executors"].items():
        assert of_pods[label]["securityContext"] == {"runAsUser": "1000", "runAsGroup": "1000", "runAsNonRoot": True}
        scratch = next(mount for mount in of_pods[label]["emptyDirMounts"] if mount["volumeName"] == "scratch")
        assert {"name": "MASKX_SCRATCH", "value": scratch["mountPath"]} in executor["container"]["env"]


def test_secrets_come_by_name_and_may_be_absent(documents: list[dict[str, Any]]) -> None:
    """Their values are nowhere: the file names keys and variables only."""
    for settings in documents[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"].values():
        names = {reads(each["secretNameParameter"]) for each in settings["secretAsEnv"]}
        assert names == {"s3_secret", "mlflow_secret"}
        assert all(each["optional"] for each in settings["secretAsEnv"])
        for key in (key for each in settings["secretAsEnv"] for key in each["keyToEnv"]):
            assert set(key) == {"secretKey", "envVar"}
    for executor in documents[0]["deploymentSpec"]["executors"].values():
        assert {variable["name"] for variable in executor["container"]["env"]} == {"MASKX_SCRATCH"}


def test_every_parameter_that_may_be_left_out_has_a_default(documents: list[dict[str, Any]]) -> None:
    """Older back ends refuse a parameter without a value."""
    parameters = documents[0]["root"]["inputDefinitions"]["parameters"].values()
    assert all("defaultValue" in each for each in parameters if each.get("isOptional"))


def test_data_and_checkpoints_cross_as_uris_and_artifacts_are_for_people(documents: list[dict[str, Any]]) -> None:
    """KFP's launcher downloads each input artifact whole before a step begins, so there is none."""
    kinds = set()
    for component in documents[0]["components"].values():
        assert "artifacts" not in component.get("inputDefinitions", {})
        outputs = component.get("outputDefinitions", {}).get("artifacts", {})
        kinds |= {output["artifactType"]["schemaTitle"] for output in outputs.values()}
    assert kinds == {"system.HTML", "system.Markdown", "system.Metrics"}


@pytest.mark.slow
def test_without_retries_a_failure_is_told_at_once() -> None:
    tasks = tasks_of(next(yaml.safe_load_all(compiled(on_cluster=False))))
    assert not any("retryPolicy" in task for task in tasks.values())


def test_on_this_machine_scratch_files_go_where_the_user_says() -> None:
    spec = next(yaml.safe_load_all(compiled(on_cluster=False)))
    assert not any("env" in executor["container"] for executor in spec["deploymentSpec"]["executors"].values())


def test_volumes_have_the_sizes_that_were_asked_for() -> None:
    of_pods = list(yaml.safe_load_all(compiled(sizes={"shared-memory": "64Gi"})))[1]["platforms"]["kubernetes"]
    for settings in of_pods["deploymentSpec"]["executors"].values():
        sizes = {mount["volumeName"]: mount["sizeLimit"] for mount in settings["emptyDirMounts"]}
        assert sizes in ({"scratch": "50Gi"}, {"scratch": "50Gi", "shared-memory": "64Gi"})


def test_a_size_that_kubernetes_would_refuse_is_refused() -> None:
    with pytest.raises(ConfigError, match="--scratch 50 GB: write a size as Kubernetes does"):
        compiled(sizes={"scratch": "50 GB"})
