"""The product: from public data sets to a registered model that segments 3000 classes, as one pipeline.

Its parameters are a fixed surface: they change only on purpose. Data, checkpoints and models pass from step to step as
URIs below `root`; each step finds work that is already done by its manifest, so KFP's own caching is off.
"""

from typing import Any, Optional

from kfp import dsl

from components.evaluate import evaluate
from components.prepare import prepare
from components.register import register
from components.sources import sources as original_sources
from components.train_detector import train_detector
from components.train_masks import train_masks
from pipelines.pods import Cluster, fail_at_once, retry

NAME = "maskx-vg3000"
STAGE_2 = {"transfer": "masks-transfer", "class_agnostic": "masks-class-agnostic"}  # kind -> step and folder


@dsl.pipeline(name=NAME, description="Learning to segment every thing: data, detector, masks, evaluation, registry")
def maskx_vg3000(
    root: str,
    tracking_uri: str,
    sources: list[str] = [],  # noqa: B006  KFP reads the default, nothing changes it
    preset: str = "",
    config: str = "",
    overrides: list[str] = [],  # noqa: B006
    classes: Optional[int] = None,  # noqa: UP045  KFP knows no `int | None`
    max_rejected: Optional[float] = None,  # noqa: UP045
    exif: str = "auto",
    mask_classes: str = "",
    seed: Optional[int] = None,  # noqa: UP045
    registered_name: str = "maskx",
    volume_claim: str = "maskx",
    s3_secret: str = "maskx-s3",
    mlflow_secret: str = "maskx-mlflow",
    light_cpu: str = "1",
    light_memory: str = "4Gi",
    prepare_cpu: str = "8",
    prepare_memory: str = "16Gi",
    detector_cpu: str = "8",
    detector_memory: str = "64Gi",
    masks_cpu: str = "8",
    masks_memory: str = "64Gi",
    evaluate_cpu: str = "8",
    evaluate_memory: str = "32Gi",
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
            classes, max_rejected, mask_classes and seed are as the configuration says if they are left out.
        classes: How many of the most frequent synsets make the vocabulary; 0 for all there are.
        max_rejected: Share of a source's records that may be rejected before the run fails, 0 to 1.
        exif: Which images are read upright, as their EXIF orientation says: `auto`, those whose listed width and
            height fit only the upright image; `apply`, all; `ignore`, none.
        mask_classes: The classes whose masks training sees: `coco`, `voc`, `non-voc`, `toy`,
            `random:N:SEED`, `figure3:N:TRIAL` or a file.
        seed: Seed of the trainings, and of the toy world.
        registered_name: Name in the model registry.
        volume_claim: PersistentVolumeClaim that stands at /data in every step, for `root` and `sources`.
        s3_secret: Secret with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, where needed, AWS_SESSION_TOKEN, AWS_REGION
            and AWS_ENDPOINT_URL_S3. It may be absent, where pods have a role.
        mlflow_secret: Secret with MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN. It
            may be absent.
        light_cpu: CPUs of the first and the last step, as Kubernetes writes them. Text, as all that becomes a resource:
            KFP's driver requests nothing for a number.
        light_memory: Memory of these steps.
        prepare_cpu: CPUs of the preparation.
        prepare_memory: Memory of the preparation.
        detector_cpu: CPUs of stage 1.
        detector_memory: Memory of stage 1; what it holds in /dev/shm counts.
        masks_cpu: CPUs of each training of stage 2.
        masks_memory: Memory of each training of stage 2.
        evaluate_cpu: CPUs of the evaluation.
        evaluate_memory: Memory of the evaluation.
        accelerator_type: Kubernetes' name for the accelerator.
        accelerator_count: Accelerators for each training and for the evaluation, as text; "0" to use CPUs.
        gpu_node_selector: Labels of the nodes on which those steps run.
        gpu_tolerations: Tolerations of those steps, as Kubernetes writes them.

    Returns:
        The registered version, `models:/NAME/VERSION`.
    """
    settings: dict[str, Any] = {"preset": preset, "config": config, "overrides": overrides}
    original = original_sources(
        given=sources,
        **settings,
        toy_world=f"{root}/original",
        seed=seed,
        mask_classes=mask_classes,
        registered_name=registered_name,
        classes=classes,
        max_rejected=max_rejected,
        exif=exif,
    ).set_display_name("check-and-sources")
    dataset = prepare(
        sources=original.output,
        out=f"{root}/dataset",
        **settings,
        classes=classes,
        max_rejected=max_rejected,
        exif=exif,
    )
    tracking = {"tracking_uri": tracking_uri, "experiment": registered_name}
    detector = train_detector(dataset=dataset.output, out=f"{root}/detector", **settings, **tracking, seed=seed)
    transfer, class_agnostic = (
        train_masks(
            dataset=dataset.output,
            detector=detector.output,
            out=f"{root}/{name}",
            **settings,
            **tracking,
            kind=kind,
            mask_classes=mask_classes,
            seed=seed,
        ).set_display_name(name)
        for kind, name in STAGE_2.items()
    )
    evaluation = evaluate(
        model=transfer.output,
        baseline=class_agnostic.output,
        dataset=dataset.output,
        out=f"{root}/evaluation",
        **settings,
        stages=[detector.output],
    )
    registered = register(
        model=transfer.output,
        evaluation=evaluation.outputs["Output"],
        stages=[detector.output],
        dataset=dataset.output,
        **settings,
        name=registered_name,
        tracking_uri=tracking_uri,
    )
    cluster = Cluster(
        volume_claim,
        s3_secret,
        mlflow_secret,
        accelerator_type,
        accelerator_count,
        gpu_node_selector,
        gpu_tolerations,
    )
    cluster.settle(original, light_cpu, light_memory)
    cluster.settle(dataset, prepare_cpu, prepare_memory)
    cluster.settle(detector, detector_cpu, detector_memory)
    for masks in (transfer, class_agnostic):
        cluster.settle(masks, masks_cpu, masks_memory)
    cluster.settle(evaluation, evaluate_cpu, evaluate_memory)
    cluster.settle(registered, light_cpu, light_memory)
    for task in (detector, transfer, class_agnostic, evaluation):
        cluster.accelerate(task)
    fail_at_once(original)
    for task in (dataset, detector, transfer, class_agnostic, evaluation, registered):
        retry(task)
    return registered.output  # type: ignore[no-any-return]
