"""KFP component: stage 1, the detector."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)
def train_detector(
    dataset: str,
    out: str,
    config: str,
    tracking_uri: str,
    experiment: str,
    nodes: str,
    node_cpu: str,
    node_memory: str,
    node_accelerators: str,
    accelerator_kind: str,
    node_selector: dict[str, str],
    tolerations: list[dict[str, str]],
) -> str:
    """Train a detector on the boxes of all classes (stage 1); resumes from its last checkpoint.

    On one node it trains in its own pod, a process (rank) for each accelerator. On several it creates a TrainJob of
    Kubeflow Trainer, follows it, and deletes it.

    Args:
        dataset: The dataset's URI.
        out: URI of the stage's folder: model, curves, checkpoints.
        config: URI of the run's whole configuration.
        tracking_uri: MLflow's tracking server, which shows the training while it runs; empty for none.
        experiment: The experiment that its run belongs to.
        nodes: Number of nodes, as text. What follows is of each of them, and, but for the accelerators' number, of use
            only where there are several.
        node_cpu: CPUs.
        node_memory: Memory.
        node_accelerators: Accelerators, as text; "0" for CPUs.
        accelerator_kind: Kubernetes' name for them.
        node_selector: Labels of the nodes.
        tolerations: Tolerations of their pods, as Kubernetes writes them.

    Returns:
        The detector's URI.
    """
    from data_prep.log import show_log
    from maskx_model.launch.launch import launch
    from maskx_model.launch.machines import Machines
    from maskx_model.launch.training import StageTraining

    show_log()
    pool = (accelerator_kind, node_accelerators, node_selector, tuple(tolerations))
    training = StageTraining("stage1", dataset, out, config, tracking_uri, experiment)
    launch(training, Machines(nodes, *pool, node_cpu, node_memory))
    return out
