"""KFP component: check all that the run is asked for, and name its original data."""

from typing import NamedTuple

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)
def preflight(
    root: str,
    tracking_uri: str,
    sources: list[str],
    preset: str,
    config: str,
    overrides: list[str],
    classes: int,
    max_rejected: float,
    exif: str,
    mask_classes: str,
    seed: int,
    weights: str,
    registered_name: str,
    nodes: str,
    accelerator_type: str,
    accelerator_count: str,
    gpu_node_selector: dict[str, str],
    gpu_tolerations: list[dict[str, str]],
    sizes: dict[str, str],
    run_id: str,
    dated: bool,
    only_if_changed: bool,
    registers: bool,
    plan: dsl.Output[dsl.Markdown],
) -> NamedTuple(  # type: ignore[valid-type]
    "Outputs",
    [
        ("root", str),
        ("sources", list[str]),
        ("config", str),
        ("journal", str),
        ("Output", str),
        ("detector_cpu", str),
        ("detector_memory", str),
        ("masks_cpu", str),
        ("masks_memory", str),
        ("train_accelerators", str),
        ("train_node_selector", dict[str, str]),
        ("train_tolerations", list[dict[str, str]]),
        ("one_accelerator", str),
    ],
):
    """Check a run's parameters and places, then write its whole configuration and, where no sources are named, the
    preset's toy world.

    All that is wrong is told at once. No retry can mend it, so this step is not tried again.

    Args:
        root: URI below which the run writes everything.
        tracking_uri: MLflow's tracking server, or `sqlite:///FILE`.
        sources: Sources as `maskx data prepare` takes them, `NAME=coco:URI` or `NAME=vg:URI`; may be empty.
        preset: Name of the configuration; empty for the one that `config` names.
        config: URI of a configuration as YAML; empty for the preset as it is.
        overrides: Fields to change, each FIELD=VALUE.
        classes: How many of the most frequent synsets make the vocabulary; 0 for all, -1 for the configuration's.
        max_rejected: Fraction of a source's images, and of its objects, that may be broken before the run fails; -1 for
            the configuration's.
        exif: Which images are read upright: `auto`, `apply` or `ignore`.
        mask_classes: The classes whose masks training uses (A); empty for the configuration's.
        seed: Seed of the toy world and of the trainings; -1 for the configuration's.
        weights: URI of the backbone's weights; empty for the configuration's.
        registered_name: Name in the model registry, which only the last step uses.
        nodes: Number of nodes of each training, as text.
        accelerator_type: Kubernetes' name for the GPUs that the trainings ask for.
        accelerator_count: Their number on each node, as text.
        gpu_node_selector: Labels of the nodes of their pool.
        gpu_tolerations: Tolerations of their pods.
        sizes: CPU and memory of the steps, by the names of the pipeline's parameters.
        run_id: What the orchestrator calls the run.
        dated: Whether the run writes to a folder below `root` that is named by the time.
        only_if_changed: Whether the run ends early if a registered version was made of the same sources,
            configuration and code.
        registers: Whether a version is registered at the end; else name and tracking server are not looked at.
        plan: What the run is going to do, where, and what it costs.

    Returns:
        `root`: the run's own. `sources`: those given, or the toy world's. `config`: URI of the whole configuration, for
        the steps that follow. `journal`: URI of what the exit handler reads. `Output`: `changed`, or
        `unchanged` where a registered version was made of the same; KFP's local runner decides by an output of this
        name only. The others: what the pods of the trainings ask for, which only follow where there are several nodes;
        `one_accelerator`, of steps that use one at most.
    """
    from data_prep.log import show_log
    from data_prep.storage.storage import write
    from maskx_model.launch.machines import Machines
    from maskx_model.launch.own_pods import own_pods
    from maskx_model.preflight.preflight import preflight as run
    from maskx_model.preflight.request import Request

    show_log()
    machines = Machines(nodes, accelerator_type, accelerator_count, gpu_node_selector, tuple(gpu_tolerations))
    request = Request(
        root=root,
        tracking_uri=tracking_uri,
        sources=tuple(sources),
        preset=preset,
        config=config,
        overrides=tuple(overrides),
        classes=int(classes),  # a number may arrive as a float
        max_rejected=max_rejected,
        exif=exif,
        mask_classes=mask_classes,
        seed=int(seed),
        weights=weights,
        registered_name=registered_name,
        machines=machines,
        sizes=sizes,
        run_id=run_id,
        dated=dated,
        only_if_changed=only_if_changed,
        registers=registers,
    )
    found = run(request)
    write(plan.path, found.markdown.encode())
    plan.metadata.update(root=found.root, fingerprint=found.fingerprint)
    changed = "unchanged" if found.unchanged_since else "changed"
    return (found.root, list(found.sources), found.config, found.journal, changed, *own_pods(machines, sizes))
