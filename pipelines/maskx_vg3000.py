"""The product: from public data sets to a registered model that segments 3000 classes, as one pipeline.

Its parameters are a fixed surface: they change only on purpose. Data, checkpoints and models pass from step to step as
URIs below `root`; each step finds work that is already done by its manifest, so KFP's own caching is off.
"""

from typing import Any

from kfp import dsl

from components.estimate import estimate as estimate_of_b
from components.evaluate import evaluate
from components.finish import finish
from components.preflight import preflight
from components.prepare import prepare
from components.register import register
from components.train_detector import train_detector
from components.train_masks import train_masks
from pipelines.pods import Cluster, Pool, fail_at_once, retry

NAME = "maskx-vg3000"
RUN_ID = dsl.PIPELINE_JOB_ID_PLACEHOLDER
STAGE_2 = {"transfer": "masks-transfer", "class_agnostic": "masks-class-agnostic"}  # kind -> step and folder


def _steps(
    checked: Any, sizes: dict[str, Any], machines: dict[str, Any], exif: Any, estimate: Any, registry: dict[str, Any]
) -> dict[str, Any]:
    """Everything after the preflight: the way from original files to a registered model, step by step."""
    root, config = checked.outputs["root"], checked.outputs["config"]
    data = prepare(
        sources=checked.outputs["sources"], out=f"{root}/dataset", config=config, exif=exif, cpu=sizes["prepare_cpu"]
    )
    dataset = data.output
    follow = {"config": config, "tracking_uri": registry["tracking_uri"], "experiment": registry["name"], **machines}
    of_stage1 = {"node_cpu": sizes["detector_cpu"], "node_memory": sizes["detector_memory"]}
    of_stage2 = {"node_cpu": sizes["masks_cpu"], "node_memory": sizes["masks_memory"]}
    detector = train_detector(dataset=dataset, out=f"{root}/detector", **follow, **of_stage1)
    heads = {
        name: train_masks(
            dataset=dataset, detector=detector.output, out=f"{root}/{name}", kind=kind, **follow, **of_stage2
        ).set_display_name(name)
        for kind, name in STAGE_2.items()
    }
    transfer, class_agnostic = heads.values()
    estimated = estimate_of_b(
        wanted=estimate,
        dataset=dataset,
        detector=detector.output,
        out=f"{root}/estimate",
        config=config,
        cpu=sizes["masks_cpu"],
    ).set_display_name("estimate")
    evaluation = evaluate(
        model=transfer.output,
        baseline=class_agnostic.output,
        dataset=dataset,
        out=f"{root}/evaluation",
        config=config,
        stages=[detector.output],
    )
    registered = register(
        model=transfer.output,
        evaluation=evaluation.outputs["Output"],
        stages=[detector.output],
        dataset=dataset,
        config=config,
        journal=checked.outputs["journal"],
        run_id=RUN_ID,
        estimate=estimated.outputs["Output"],
        **registry,
    )
    steps = {"prepare": data, "detector": detector, **heads, "estimate": estimated}
    return {**steps, "evaluate": evaluation, "register": registered}


@dsl.pipeline(name=NAME, description="Learning to segment every thing: data, detector, masks, evaluation, registry")
def maskx_vg3000(
    root: str,
    tracking_uri: str,
    sources: list[str] = [],  # noqa: B006  KFP reads the default, nothing changes it
    preset: str = "",
    config: str = "",
    overrides: list[str] = [],  # noqa: B006
    classes: int = -1,
    max_rejected: float = -1.0,
    exif: str = "auto",
    mask_classes: str = "",
    seed: int = -1,
    weights: str = "",
    registered_name: str = "maskx",
    dated: bool = False,
    only_if_changed: bool = False,
    estimate: bool = True,
    volume_claim: str = "maskx",
    s3_secret: str = "maskx-s3",
    mlflow_secret: str = "maskx-mlflow",
    light_cpu: str = "1",
    light_memory: str = "4Gi",
    prepare_cpu: str = "8",
    prepare_memory: str = "16Gi",
    detector_cpu: str = "8",
    detector_memory: str = "48Gi",
    masks_cpu: str = "8",
    masks_memory: str = "48Gi",
    evaluate_cpu: str = "8",
    evaluate_memory: str = "32Gi",
    nodes: str = "1",
    accelerator_type: str = "nvidia.com/gpu",
    accelerator_count: str = "1",
    gpu_node_selector: dict[str, str] = {},  # noqa: B006
    gpu_tolerations: list[dict[str, str]] = [],  # noqa: B006
) -> str:
    """Train, measure and register a model.

    Args:
        root: URI below which everything is written: dataset, models, evaluation.
        tracking_uri: MLflow's tracking server, which shows the trainings and keeps the registered model.
        sources: Original data, `NAME=coco:URI` or `NAME=vg:URI`; may be empty for the preset `toy`.
        preset: Name of the configuration that is trained; empty for the one that `config` names, else vg3000_r101.
        config: URI of a configuration as YAML, as `maskx config show` writes it; empty for the preset as it is.
        overrides: Fields of the configuration to change, each FIELD=VALUE, such as stage1.steps=20000. Of the next,
            all but exif are as the configuration says if they are left out.
        classes: How many of the most frequent synsets make the vocabulary; 0 for all there are.
        max_rejected: Fraction of a source's images, and of its objects, that may be broken before the run fails, 0
            to 1.
        exif: Which images are read upright, as their EXIF orientation says: `auto`, those whose listed width and
            height fit only the upright image; `apply`, all; `ignore`, none.
        mask_classes: The classes whose masks training uses: `coco`, `voc`, `non-voc`, `toy`,
            `random:N:SEED`, `figure3:N:TRIAL` or a file.
        seed: Seed of the trainings, and of the toy world.
        weights: URI of the backbone's weights (a .pth file), for clusters that cannot download them.
        registered_name: Name in the model registry.
        dated: Write to a folder below `root` that is named by the time, as scheduled runs do.
        only_if_changed: End early if a registered version was made of the same sources, configuration and code.
        estimate: Estimate AP on B by leaving classes of A out, for gates and model card: eight more heads to train.
        volume_claim: PersistentVolumeClaim that stands at /data in every step, for `root` and `sources`.
        s3_secret: Secret with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, where needed, AWS_SESSION_TOKEN, AWS_REGION
            and AWS_ENDPOINT_URL_S3. It may be absent, where pods have a role.
        mlflow_secret: Secret with MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN. It
            may be absent.
        light_cpu: CPUs of the first step and of the exit handler, as Kubernetes writes them. Text, as all that becomes
            a resource: KFP's driver requests nothing for a number.
        light_memory: Memory of these steps.
        prepare_cpu: CPUs of the preparation.
        prepare_memory: Memory of the preparation.
        detector_cpu: CPUs of stage 1; of each node, where there are several.
        detector_memory: Memory of stage 1, likewise; what it holds in /dev/shm counts.
        masks_cpu: CPUs of each training of stage 2, and of the estimate.
        masks_memory: Memory of each training of stage 2, and of the estimate.
        evaluate_cpu: CPUs of the evaluation, and of the registration, which measures the champion on new records.
        evaluate_memory: Memory of these two.
        nodes: Nodes of each training, as text; more than one train as a TrainJob of Kubeflow Trainer.
        accelerator_type: Kubernetes' name for the accelerator.
        accelerator_count: Accelerators of each node, as text, with a process each; "0" to use CPUs. Estimate,
            evaluation and registration use one.
        gpu_node_selector: Labels of the nodes on which those steps run.
        gpu_tolerations: Tolerations of those steps, as Kubernetes writes them.

    Returns:
        The registered version, `models:/NAME/VERSION`: this run's, or the one since which nothing has changed.
    """
    sizes = {
        "light_cpu": light_cpu,
        "light_memory": light_memory,
        "prepare_cpu": prepare_cpu,
        "prepare_memory": prepare_memory,
        "detector_cpu": detector_cpu,
        "detector_memory": detector_memory,
        "masks_cpu": masks_cpu,
        "masks_memory": masks_memory,
        "evaluate_cpu": evaluate_cpu,
        "evaluate_memory": evaluate_memory,
    }
    machines = {
        "nodes": nodes,
        "accelerator_kind": accelerator_type,
        "node_accelerators": accelerator_count,
        "node_selector": gpu_node_selector,
        "tolerations": gpu_tolerations,
    }
    cluster = Cluster(volume_claim, s3_secret, mlflow_secret)
    place = {"root": root, "registered_name": registered_name, "tracking_uri": tracking_uri, "run_id": RUN_ID}
    ended = finish(**place)
    cluster.settle(ended, light_cpu, light_memory)
    with dsl.ExitHandler(ended, name="run"):
        checked = preflight(
            sources=sources,
            preset=preset,
            config=config,
            overrides=overrides,
            classes=classes,
            max_rejected=max_rejected,
            exif=exif,
            mask_classes=mask_classes,
            seed=seed,
            weights=weights,
            dated=dated,
            only_if_changed=only_if_changed,
            registers=True,
            sizes=sizes,
            nodes=nodes,
            accelerator_type=accelerator_type,
            accelerator_count=accelerator_count,
            gpu_node_selector=gpu_node_selector,
            gpu_tolerations=gpu_tolerations,
            **place,
        )
        cluster.settle(checked, light_cpu, light_memory)
        fail_at_once(checked)
        with dsl.If(checked.outputs["Output"] == "changed", name="something-changed"):
            registry = {"name": registered_name, "tracking_uri": tracking_uri}
            steps = _steps(checked, sizes, machines, exif, estimate, registry)
            own = checked.outputs
            one = Pool(accelerator_type, own["one_accelerator"], gpu_node_selector, gpu_tolerations)
            train = Pool(
                accelerator_type, own["train_accelerators"], own["train_node_selector"], own["train_tolerations"]
            )
            for task, cpu, memory, gpus in (
                (steps["prepare"], prepare_cpu, prepare_memory, None),
                (steps["detector"], own["detector_cpu"], own["detector_memory"], train),
                (steps["masks-transfer"], own["masks_cpu"], own["masks_memory"], train),
                (steps["masks-class-agnostic"], own["masks_cpu"], own["masks_memory"], train),
                (steps["estimate"], masks_cpu, masks_memory, one),
                (steps["evaluate"], evaluate_cpu, evaluate_memory, one),
                (steps["register"], evaluate_cpu, evaluate_memory, one),
            ):
                cluster.settle(task, cpu, memory)
                if gpus is None:
                    retry(task)
                else:
                    gpus.give(task)
    return ended.output  # type: ignore[no-any-return]
