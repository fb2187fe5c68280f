"""The product pipeline as it is compiled: its parameters, its steps and their order."""

from typing import Any

import pytest
import yaml

from pipelines.compiling import compiled, steps_of, tasks_of
from tests.pipelines.product_pipeline import BESIDE, reads


def test_the_yaml_beside_the_pipeline_is_in_step_with_it() -> None:
    assert BESIDE.read_text(encoding="utf-8") == compiled(), "run `make pipeline`"


def test_the_compiled_text_is_ascii() -> None:
    """A database in latin1 refuses a run whose description has any other character."""
    assert BESIDE.read_text(encoding="utf-8").isascii()


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
        "detector_memory": "48Gi",
        "masks_cpu": "8",
        "masks_memory": "48Gi",
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


def test_every_parameter_that_may_be_left_out_has_a_default(documents: list[dict[str, Any]]) -> None:
    """Older back ends refuse a parameter without a value."""
    parameters = documents[0]["root"]["inputDefinitions"]["parameters"].values()
    assert all("defaultValue" in each for each in parameters if each.get("isOptional"))


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
    times = {name: steps[name]["retryPolicy"]["maxRetryCount"] for name in again}
    assert times.pop("prepare") == 3
    assert set(times.values()) == {10}  # on GPUs, whose spot nodes are taken away


@pytest.mark.slow
def test_without_retries_a_failure_is_told_at_once() -> None:
    tasks = tasks_of(next(yaml.safe_load_all(compiled(on_cluster=False))))
    assert not any("retryPolicy" in task for task in tasks.values())


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


def test_data_and_checkpoints_cross_as_uris_and_artifacts_are_for_people(documents: list[dict[str, Any]]) -> None:
    """KFP's launcher downloads each input artifact whole before a step begins, so there is none."""
    kinds = set()
    for component in documents[0]["components"].values():
        assert "artifacts" not in component.get("inputDefinitions", {})
        outputs = component.get("outputDefinitions", {}).get("artifacts", {})
        kinds |= {output["artifactType"]["schemaTitle"] for output in outputs.values()}
    assert kinds == {"system.HTML", "system.Markdown", "system.Metrics"}
