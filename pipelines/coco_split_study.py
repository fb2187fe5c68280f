"""The paper's ablations (Tables 1 and 2) and its Figure 3: many variants and choices of A on one detector, which is
trained once, and whose features are computed once.

Each choice of A is a branch of its own, on a pod of its own. No model is registered.
"""

from typing import Any

from kfp import dsl

from components.preflight import preflight
from components.prepare import prepare
from components.study_features import study_features
from components.study_split import study_split
from components.study_splits import study_splits
from components.study_table import study_table
from components.train_detector import train_detector
from pipelines.pods import Cluster, Pool, fail_at_once, retry

NAME = "maskx-coco-split-study"
RUN_ID = dsl.PIPELINE_JOB_ID_PLACEHOLDER
EXIF = "auto"
"""Which images are read upright, as `maskx data prepare --exif` has it."""
NODES = "1"
AT_ONCE = 4
"""Splits that run at the same time; fixed when the pipeline is compiled."""
FIGURE_3 = [f"figure3:{size}:{trial}" for size in (20, 30, 40, 50, 60) for trial in (1, 2, 3, 4, 5)]
SPLITS = [
    *(f"{a}={table}" for a in ("voc", "non-voc") for table in ("1a", "1b", "1c", "1d", "2")),
    *(f"{a}=1c/class-agnostic+MLP;1c/transfer+MLP" for a in FIGURE_3),
]
"""The paper's: Tables 1 and 2 with either half of COCO's classes as A, and the 25 random choices of Figure 3."""


FOR_A_STUDY: dict[str, Any] = {
    "tracking_uri": "",
    "registered_name": "",
    "registers": False,
    "classes": -1,
    "max_rejected": -1.0,
    "exif": EXIF,
    "mask_classes": "",
    "run_id": RUN_ID,
    "dated": False,
    "only_if_changed": False,
    "nodes": NODES,
}
"""What the preflight is told of a pipeline that registers nothing."""


def _heavy(cluster: Cluster, pool: Pool, task: Any, cpu: Any, memory: Any) -> None:
    cluster.settle(task, cpu, memory)
    pool.give(task)


@dsl.pipeline(name=NAME, description="The paper's ablations and Figure 3 on COCO, on one detector")
def coco_split_study(
    root: str,
    sources: list[str] = [],  # noqa: B006  KFP reads the default, nothing changes it
    preset: str = "coco_r50",
    config: str = "",
    overrides: list[str] = [],  # noqa: B006
    seed: int = -1,
    weights: str = "",
    splits: list[str] = SPLITS,
    seeds: list[int] = [0],  # noqa: B006
    max_images: int = 0,
    volume_claim: str = "maskx",
    s3_secret: str = "maskx-s3",
    mlflow_secret: str = "maskx-mlflow",
    light_cpu: str = "1",
    light_memory: str = "4Gi",
    cpu: str = "8",
    memory: str = "48Gi",
    accelerator_type: str = "nvidia.com/gpu",
    accelerator_count: str = "1",
    gpu_node_selector: dict[str, str] = {},  # noqa: B006
    gpu_tolerations: list[dict[str, str]] = [],  # noqa: B006
) -> str:
    """Train a detector, then heads on it for each choice of A, and collect their AP.

    Args:
        root: URI below which everything is written; the results are in `study`.
        sources: Original data, `NAME=coco:URI`; may be empty for the preset `toy`.
        preset: Name of the configuration; empty for the one that `config` names.
        config: URI of a configuration as YAML, as `maskx config show` writes it; empty for the preset as it is.
        overrides: Fields of the configuration to change, each FIELD=VALUE.
        seed: Seed of the detector, and of the toy world; -1 for the configuration's.
        weights: URI of the backbone's weights (a .pth file), for clusters that cannot download them.
        splits: Choices of A with the rows to train, each `A=ROWS`: both as `maskx study tables` takes them, with a
            semicolon between rows.
        seeds: Seeds of the heads.
        max_images: Validation images to measure on at most; 0 for all.
        volume_claim: PersistentVolumeClaim that stands at /data in every step.
        s3_secret: Secret with the credentials of object storage, as in maskx-vg3000; it may be absent.
        mlflow_secret: Secret with those of the tracking server, which no step needs here; it may be absent.
        light_cpu: CPUs of the first and the last step, as text.
        light_memory: Memory of these steps.
        cpu: CPUs of all other steps.
        memory: Memory of all other steps; what they hold in /dev/shm counts.
        accelerator_type: Kubernetes' name for the accelerator.
        accelerator_count: Accelerators of the detector's training, as text; "0" for CPUs. The features and each split
            use one.
        gpu_node_selector: Labels of the nodes on which those steps run.
        gpu_tolerations: Tolerations of those steps, as Kubernetes writes them.

    Returns:
        URI of the folder with the results.
    """
    pool = {
        "accelerator_type": accelerator_type,
        "accelerator_count": accelerator_count,
        "gpu_node_selector": gpu_node_selector,
        "gpu_tolerations": gpu_tolerations,
    }
    cluster = Cluster(volume_claim, s3_secret, mlflow_secret)
    sizes = {"light_cpu": light_cpu, "light_memory": light_memory, "cpu": cpu, "memory": memory}
    asked = {"preset": preset, "config": config, "overrides": overrides, "seed": seed, "weights": weights}
    checked = preflight(root=root, sources=sources, **asked, **FOR_A_STUDY, **pool, sizes=sizes)
    gpus = Pool(accelerator_type, accelerator_count, gpu_node_selector, gpu_tolerations)
    one = Pool(accelerator_type, checked.outputs["one_accelerator"], gpu_node_selector, gpu_tolerations)
    planned = study_splits(splits=splits)
    for first in (checked, planned):
        cluster.settle(first, light_cpu, light_memory)
        fail_at_once(first)
    whole = checked.outputs["config"]
    dataset = prepare(sources=checked.outputs["sources"], out=f"{root}/dataset", config=whole, exif=EXIF, cpu=cpu)
    dataset.after(planned)
    detector = train_detector(
        dataset=dataset.output,
        out=f"{root}/detector",
        config=whole,
        tracking_uri="",
        experiment="",
        nodes=NODES,
        node_cpu=cpu,
        node_memory=memory,
        node_accelerators=accelerator_count,
        accelerator_kind=accelerator_type,
        node_selector=gpu_node_selector,
        tolerations=gpu_tolerations,
    )
    features = study_features(
        dataset=dataset.output, detector=detector.output, out=f"{root}/features", config=whole, max_images=max_images
    )
    with dsl.ParallelFor(splits, name="splits", parallelism=AT_ONCE) as split:
        # By their places: KFP's local runner hands the loop's item over in place of an earlier step's output.
        measured = study_split(
            dataset=f"{root}/dataset",
            detector=f"{root}/detector",
            features=f"{root}/features",
            out=f"{root}/study",
            root=root,
            run_id=RUN_ID,
            split=split,
            seeds=seeds,
            max_images=max_images,
        )
        measured.after(features)
        _heavy(cluster, one, measured, cpu, memory)
    collected = study_table(splits=dsl.Collected(measured.output), out=f"{root}/study")
    cluster.settle(collected, light_cpu, light_memory)
    retry(collected)
    cluster.settle(dataset, cpu, memory)
    retry(dataset)
    _heavy(cluster, gpus, detector, cpu, memory)
    _heavy(cluster, one, features, cpu, memory)
    return collected.outputs["Output"]  # type: ignore[no-any-return]
