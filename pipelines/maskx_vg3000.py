"""The product: from public data sets to a registered model that segments 3000 classes, as one pipeline.

Its parameters are a fixed surface: they change only on purpose. Data, checkpoints and models pass from step to step as
URIs below `root`; each step finds work that is already done by its manifest, so KFP's own caching is off.
"""

from collections.abc import Iterable
from typing import Any, Optional

from kfp import dsl, kubernetes

from components.evaluate import evaluate
from components.prepare import prepare
from components.register import register
from components.sources import sources as original_sources
from components.train_detector import train_detector
from components.train_masks import train_masks

NAME = "maskx-vg3000"
RETRIES = 3  # spot machines are taken away, and training resumes; the first step checks what no retry can mend
BACKOFF = "60s"
STAGE_2 = {"transfer": "masks-transfer", "class_agnostic": "masks-class-agnostic"}  # kind → step and folder
DATA = "/data"  # where every step sees the volume
SHARED_MEMORY = "16Gi"  # the loader's worker processes hand batches over through it


def _share_memory(task: Any) -> None:
    """Give a step that loads images in several processes the memory through which they hand batches over."""
    kubernetes.empty_dir_mount(
        task, volume_name="shared-memory", mount_path="/dev/shm", medium="Memory", size_limit=SHARED_MEMORY
    )


def _mount_data(tasks: Iterable[Any], volume_claim: Any) -> None:
    """Show every step the volume, and turn off KFP's cache: each step finds what is done."""
    for task in tasks:
        kubernetes.mount_pvc(task, pvc_name=volume_claim, mount_path=DATA)
        task.set_caching_options(False)


def _retry(tasks: Iterable[Any]) -> None:
    """Try steps again that fail."""
    for task in tasks:
        task.set_retry(num_retries=RETRIES, backoff_duration=BACKOFF)


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
        accelerator_type: Kubernetes' name for the accelerator.
        accelerator_count: Accelerators for each training and for the evaluation; "0" to use CPUs. Text, as all
            that becomes a resource: KFP's driver requests nothing for a number.
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
    for task in (detector, transfer, class_agnostic, evaluation):
        task.set_accelerator_type(accelerator_type).set_accelerator_limit(accelerator_count)
        kubernetes.add_node_selector_json(task, gpu_node_selector)
        kubernetes.add_toleration_json(task, gpu_tolerations)
        _share_memory(task)
    _mount_data((original, dataset, detector, transfer, class_agnostic, evaluation, registered), volume_claim)
    _retry((dataset, detector, transfer, class_agnostic, evaluation, registered))
    return registered.output  # type: ignore[no-any-return]
