"""KFP component: AP on A, on B and on all, and the report."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)
def evaluate(
    model: str,
    baseline: str,
    dataset: str,
    out: str,
    config: str,
    stages: list[str],
    metrics: dsl.Output[dsl.Metrics],
    report: dsl.Output[dsl.HTML],
) -> str:
    """Measure a model beside its class-agnostic baseline on the validation images.

    Args:
        model: URI of the model.
        baseline: URI of the class-agnostic model.
        dataset: The dataset's URI.
        out: URI of the folder for metrics, report and predictions.
        config: URI of the run's whole configuration, which says on what source and how to measure.
        stages: URIs of the other stages' folders, whose curves the report shows too.
        metrics: Mask AP by kind of model and set of classes, percent points.
        report: The report, one page.

    Returns:
        `out`.
    """
    from data_prep.log import show_log
    from data_prep.storage.storage import read, write
    from maskx_model.configure.choose import choose
    from maskx_model.report.evaluate import evaluate as run

    show_log()
    whole = choose(config=config)
    measured = run(
        model,
        dataset,
        out,
        baseline,
        source=whole.stage2_source,
        max_images=whole.evaluation.max_images,
        stages=stages,
        protocol=whole.evaluation.protocol,
        compute=whole.evaluation.compute,
    )
    for kind, ap in measured.ap.items():
        for classes, value in ap.items():
            if value is not None:
                metrics.log_metric(f"mask AP on {classes}, {kind}", value)
    write(report.path, read(f"{out}/report.html"))
    report.metadata.update(uri=f"{out}/report.html", model=model, dataset=dataset)
    return out
