"""KFP component: original files → dataset."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)
def prepare(
    sources: list[str],
    out: str,
    config: str,
    exif: str,
    cpu: str,
) -> str:
    """Merge the sources by image into one dataset of shards.

    Args:
        sources: `NAME=coco:URI` or `NAME=vg:URI`, any number.
        out: URI of the dataset to write.
        config: URI of the run's whole configuration.
        exif: Which images are read upright: `auto`, `apply` or `ignore`, as `maskx data prepare --exif` has it.
        cpu: CPUs that the step has, as Kubernetes writes them: so many processes work.

    Returns:
        The dataset's URI.
    """
    from data_prep.log import show_log
    from data_prep.prepare.options import PrepareOptions, exif_rule
    from data_prep.prepare.prepare import prepare as run
    from maskx_model.configure.choose import choose
    from maskx_model.launch.machines import processes_on

    show_log()
    data = choose(config=config).data
    options = PrepareOptions(
        sources=tuple(sources),
        out=out,
        classes=data.classes,
        max_rejected=data.max_rejected,
        exif=exif_rule(exif),
        workers=processes_on(cpu),
    )
    run(options)
    return out
