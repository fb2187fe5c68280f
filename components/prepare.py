"""KFP component: original files → dataset."""

from typing import Optional

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)
def prepare(
    sources: list[str],
    out: str,
    preset: str,
    config: str,
    overrides: list[str],
    classes: Optional[int] = None,  # noqa: UP045  KFP knows no `int | None`
    max_rejected: Optional[float] = None,  # noqa: UP045
    exif: str = "auto",
) -> str:
    """Merge the sources by image into one dataset of shards.

    Args:
        sources: `NAME=coco:URI` or `NAME=vg:URI`, any number.
        out: URI of the dataset to write.
        preset: Name of the configuration, for what `classes` and `max_rejected` leave open; empty for the one that
            `config` names.
        config: URI of a configuration as YAML; empty for the preset as it is.
        overrides: Fields to change, each FIELD=VALUE.
        classes: How many of the most frequent synsets make the vocabulary (COCO's classes are always in); 0 for all.
        max_rejected: Share of a source's records that may be rejected before the step fails, 0 to 1.
        exif: Which images are read upright: `auto`, `apply` or `ignore`, as `maskx data prepare --exif` has it.

    Returns:
        The dataset's URI.
    """
    from data_prep.log import show_log
    from data_prep.prepare.options import PrepareOptions, exif_rule
    from data_prep.prepare.prepare import prepare as run
    from maskx_model.configure.choose import of_pipeline

    show_log()
    data = of_pipeline(preset, config, overrides).data
    wanted = data.classes if classes is None else classes or None
    ceiling = data.max_rejected if max_rejected is None else max_rejected
    run(PrepareOptions(sources=tuple(sources), out=out, classes=wanted, max_rejected=ceiling, exif=exif_rule(exif)))
    return out
