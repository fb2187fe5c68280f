"""Batch prediction as a pipeline: the champion on a bucket's images, once or on a schedule."""

from kfp import dsl

from components.check_prediction import check_prediction
from components.predict_batch import predict_batch
from pipelines.pods import Cluster, Pool, retry

NAME = "maskx-predict"


@dsl.pipeline(name=NAME, description="Batch prediction with a registered model")
def maskx_predict(
    root: str,
    model: str = "models:/maskx@champion",
    inputs: list[str] = [],  # noqa: B006  KFP reads the default, nothing changes it
    dataset: str = "",
    split: str = "",
    tracking_uri: str = "",
    batch: int = 1,
    max_rejected: float = 0.01,
    runner: str = "",
    beam: list[str] = [],  # noqa: B006
    volume_claim: str = "maskx",
    s3_secret: str = "maskx-s3",
    mlflow_secret: str = "maskx-mlflow",
    light_cpu: str = "1",
    light_memory: str = "4Gi",
    cpu: str = "8",
    memory: str = "16Gi",
    accelerator_type: str = "nvidia.com/gpu",
    accelerator_count: str = "1",
    gpu_node_selector: dict[str, str] = {},  # noqa: B006
    gpu_tolerations: list[dict[str, str]] = [],  # noqa: B006
) -> str:
    """Segment images with a registered model.

    Args:
        root: URI below which each run writes to a folder of its own, named by the run's id.
        model: URI of the model, or a registered one, `models:/NAME@ALIAS` or `models:/NAME/VERSION`.
        inputs: URIs of images and of folders of images; empty for a dataset's.
        dataset: URI of a prepared dataset; empty for `inputs`.
        split: Its split; empty for all.
        tracking_uri: MLflow's tracking server, for a registered model.
        batch: Images of one size that are computed at a time: more are faster on a GPU.
        max_rejected: Fraction of the images that may be unreadable before the run fails, 0 to 1.
        runner: Apache Beam's name of an engine; empty for the step's own pod.
        beam: Options of Beam or of the runner, each KEY=VALUE.
        volume_claim: PersistentVolumeClaim that stands at /data.
        s3_secret: Secret with the credentials of object storage, as in maskx-vg3000; it may be absent.
        mlflow_secret: Secret with those of the tracking server; it may be absent.
        light_cpu: CPUs of the first step, which checks all the others, as text.
        light_memory: Memory of that step.
        cpu: CPUs of the prediction, as text.
        memory: Memory of the prediction.
        accelerator_type: Kubernetes' name for the accelerator.
        accelerator_count: Accelerators, as text: "1", of which the prediction uses no more, or "0" for CPUs.
        gpu_node_selector: Labels of the nodes on which the step runs.
        gpu_tolerations: Tolerations of the step, as Kubernetes writes them.

    Returns:
        URI of the folder with the predictions.
    """
    cluster = Cluster(volume_claim, s3_secret, mlflow_secret)
    asked = {
        "inputs": inputs,
        "dataset": dataset,
        "split": split,
        "root": root,
        "run_id": dsl.PIPELINE_JOB_ID_PLACEHOLDER,
        "tracking_uri": tracking_uri,
        "batch": batch,
        "max_rejected": max_rejected,
        "runner": runner,
        "beam": beam,
    }
    checked = check_prediction(
        model=model,
        **asked,
        sizes={"light_cpu": light_cpu, "light_memory": light_memory, "cpu": cpu, "memory": memory},
        accelerator_count=accelerator_count,
        gpu_node_selector=gpu_node_selector,
        gpu_tolerations=gpu_tolerations,
    )
    cluster.settle(checked, light_cpu, light_memory)
    retry(checked)
    predicted = predict_batch(model=checked.output, **asked)
    cluster.settle(predicted, cpu, memory)
    Pool(accelerator_type, accelerator_count, gpu_node_selector, gpu_tolerations).give(predicted)
    return predicted.outputs["Output"]  # type: ignore[no-any-return]
