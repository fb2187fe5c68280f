"""KFP component: AP on classes without masks, estimated by leaving classes out."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)
def estimate(
    wanted: bool,
    dataset: str,
    detector: str,
    out: str,
    config: str,
    cpu: str,
    metrics: dsl.Output[dsl.Metrics],
) -> str:
    """Estimate the mask AP on B of the configuration's mask head; resumes after an interruption.

    Args:
        wanted: Whether there is to be an estimate; without one the step ends at once.
        dataset: The dataset's URI.
        detector: URI of stage 1's folder.
        out: URI of the folder for the estimate, its page and its cache.
        config: URI of the run's whole configuration as YAML.
        cpu: CPUs that the step has, as Kubernetes writes them: without a GPU so many processes train heads.
        metrics: The estimate and what it is made of, percent points.

    Returns:
        `out`, which `register` takes; empty without an estimate, also where the dataset's classes allow none.
    """
    from data_prep.log import show_log
    from maskx_model.configure.choose import choose
    from maskx_model.launch.machines import processes_on
    from maskx_model.study.estimate_of_b import estimate_where_possible

    show_log()
    if not wanted:
        return ""
    found = estimate_where_possible(dataset, detector, out, choose(config=config), processes_on(cpu))
    if found is None:
        return ""
    metrics.log_metric("estimate of mask AP on B", found.on_b)
    metrics.log_metric("mask AP on held-out classes", found.held_out)
    metrics.log_metric("the same, above class-agnostic", found.margin)
    return out
