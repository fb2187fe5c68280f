"""KFP component: name the original data, generating the toy world where a preset asks for it and none is brought."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)
def sources(given: list[str], preset: str, toy_world: str, seed: int) -> list[str]:
    """Name the sources to prepare: those given, or else the toy world of the preset, generated here.

    Args:
        given: Sources as `maskx data prepare` takes them, `NAME=coco:URI` or `NAME=vg:URI`; may be empty.
        preset: Name of the configuration, which says how large its toy world is.
        toy_world: Folder to write the toy world to.
        seed: Seed of the toy world.

    Returns:
        The sources: `given`, or the toy world's.
    """
    from data_prep.log import show_log
    from data_prep.toy_world.sources import sources_or_toy_world
    from maskx_model.presets import get_preset

    show_log()
    data = get_preset(preset).data
    return sources_or_toy_world(given, toy_world, data.toy_images, data.toy_val_images, seed)
