"""KFP component: AP on classes without masks, estimated by leaving classes out."""

from typing import Optional

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)
def estimate(
    dataset: str,
    detector: str,
    out: str,
    config: str,
    mask_classes: str,
    metrics: dsl.Output[dsl.Metrics],
    steps: Optional[int] = None,  # noqa: UP045  KFP knows no `int | None`
) -> str:
    """Estimate the mask AP on B of the configuration's mask head; resumes after an interruption.

    Args:
        dataset: The dataset's URI.
        detector: URI of stage 1's folder.
        out: URI of the folder for the estimate, its page and its cache.
        config: URI of the run's whole configuration as YAML.
        mask_classes: The classes whose masks training sees (A); empty for what the configuration says.
        metrics: The estimate and what it is made of, percent points.
        steps: Steps that each of the heads is trained (two for each of four folds); None for those of stage 2.

    Returns:
        `out`, which `register` takes.
    """
    from dataclasses import replace

    from data_prep.log import show_log
    from maskx_model.configure.choose import choose
    from maskx_model.study.estimate_of_b import estimate_of_b

    show_log()
    run = choose(config=config)
    if steps:
        run = replace(run, stage2=run.stage2.of_steps(steps))
    found = estimate_of_b(dataset, detector, out, run, mask_classes or None)
    metrics.log_metric("estimate of mask AP on B", found.on_b)
    metrics.log_metric("mask AP on held-out classes", found.held_out)
    metrics.log_metric("the same, above class-agnostic", found.margin)
    return out
