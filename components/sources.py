"""KFP component: check what the run is asked for, and name its original data."""

from typing import Optional

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)
def sources(
    given: list[str],
    preset: str,
    config: str,
    overrides: list[str],
    toy_world: str,
    mask_classes: str,
    registered_name: str,
    seed: Optional[int] = None,  # noqa: UP045  KFP knows no `int | None`
    classes: Optional[int] = None,  # noqa: UP045
    max_rejected: Optional[float] = None,  # noqa: UP045
    exif: str = "auto",
) -> list[str]:
    """Check the pipeline's parameters, then name the sources to prepare: those given, or else the preset's toy world.

    A mistake that no retry can mend fails here, before anything expensive, and this step is not tried again.

    Args:
        given: Sources as `maskx data prepare` takes them, `NAME=coco:URI` or `NAME=vg:URI`; may be empty.
        preset: Name of the configuration, which says how large its toy world is; empty for the one that `config` names.
        config: URI of a configuration as YAML; empty for the preset as it is.
        overrides: Fields to change, each FIELD=VALUE.
        toy_world: Folder to write the toy world to.
        mask_classes: The classes whose masks training sees (A); empty for what the preset says.
        registered_name: Name in the model registry, which only the last step uses.
        seed: Seed of the toy world and of the trainings; None for the configuration's.
        classes: How many of the most frequent synsets make the vocabulary; 0 for all.
        max_rejected: Share of a source's records that may be rejected before the run fails, 0 to 1.
        exif: Which images are read upright: `auto`, `apply` or `ignore`.

    Returns:
        The sources: `given`, or the toy world's.
    """
    from data_prep.log import show_log
    from data_prep.prepare.options import PrepareOptions, exif_rule
    from data_prep.sources.options import parse_sources
    from data_prep.toy_world.sources import sources_or_toy_world
    from maskx_model.registry.versions import check_name
    from maskx_model.training.parameters import check_parameters

    show_log()
    check_name(registered_name)
    run = check_parameters(preset, config, overrides, mask_classes, seed)
    named = sources_or_toy_world(given, toy_world, run.data.toy_images, run.data.toy_val_images, run.seed)
    parse_sources(tuple(named))
    PrepareOptions(tuple(named), toy_world, classes or None, max_rejected=max_rejected or 0.0, exif=exif_rule(exif))
    return named
