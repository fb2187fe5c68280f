"""The pipeline as the YAML that Kubeflow Pipelines takes. Same code, same text."""

import importlib
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from components.image import IMAGE
from maskx_model.preflight.pods import check_memory
from pipelines.pipeline_names import PipelineName


def compiled(
    image: str = IMAGE,
    on_cluster: bool = True,
    sizes: Mapping[str, str] | None = None,
    pipeline: PipelineName = "maskx_vg3000",
) -> str:
    """The compiled pipeline, two YAML documents: the pipeline and its Kubernetes settings.

    Args:
        image: The container image that the steps run in.
        on_cluster: Whether a step that fails is tried again, as machines are taken away, and branches run at the same
            time; on one machine neither. Nor has that a scratch volume.
        sizes: Volume of the pods (`pods.SIZES`) to its size, such as 64Gi, where it differs.
        pipeline: Which one.

    Raises:
        ConfigError: a size is not written as Kubernetes does.
    """
    import yaml
    from kfp import compiler

    from pipelines.pods import SCRATCH_BYTES, SCRATCH_VOLUME, copies_on

    for volume, size in (sizes or {}).items():
        check_memory(f"--{volume}", size)
    function = getattr(importlib.import_module(f"pipelines.{pipeline}"), pipeline)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pipeline.yaml"
        compiler.Compiler().compile(function, str(path))
        text = path.read_text(encoding="utf-8").replace(f"image: {IMAGE}\n", f"image: {image}\n")
    if on_cluster and not sizes:
        return text
    spec, platform = yaml.safe_load_all(text)
    if not on_cluster:
        for task in tasks_of(spec).values():
            task.pop("retryPolicy", None)
            if "parameterIterator" in task:
                task["iteratorPolicy"] = {"parallelismLimit": 1}
        for executor in spec["deploymentSpec"]["executors"].values():
            del executor["container"]["env"]  # where the scratch volume stands, which this machine has not
    elif sizes and SCRATCH_VOLUME in sizes:
        for variable in _environment(spec):
            if variable["name"] == SCRATCH_BYTES:
                variable["value"] = copies_on(sizes[SCRATCH_VOLUME])
    for executor in platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"].values():
        for mount in executor.get("emptyDirMounts", []):
            mount["sizeLimit"] = (sizes or {}).get(mount["volumeName"], mount["sizeLimit"])
    return str(yaml.safe_dump_all([spec, platform], sort_keys=False))


def _environment(spec: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    for executor in spec["deploymentSpec"]["executors"].values():
        yield from executor["container"]["env"]


def tasks_of(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Name -> task of every step and group of a compiled pipeline, also of those within groups."""
    return dict(_tasks(spec["root"], spec["components"]))


def steps_of(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Name -> task of every step of a compiled pipeline, without the groups."""
    components = spec["components"]
    return {name: task for name, task in tasks_of(spec).items() if "executorLabel" in components[_component(task)]}


def _component(task: Mapping[str, Any]) -> str:
    return str(task["componentRef"]["name"])


def _tasks(component: Mapping[str, Any], components: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, task in component.get("dag", {}).get("tasks", {}).items():
        yield name, task
        yield from _tasks(components[_component(task)], components)
