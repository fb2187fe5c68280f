"""`maskx config show`."""

from typing import Annotated

from tyro.conf import Positional, arg

from maskx_model.cli.arguments import Overrides


def config_show(config: Annotated[Positional[str], arg(metavar="PRESET|FILE")], overrides: Overrides = ()) -> None:
    """Print a configuration as YAML, each field below its sentence: a file to edit and to pass as --config.

    A file may omit fields: they have the values of the preset that its `name` names.

    Args:
        config: A preset, or a file of the same form on disk or in object storage.
        overrides: Change a field. Repeat it for more.

    Example:
        maskx config show coco_r50 --set stage1.steps=20000
    """
    from maskx_model.configure.choose import choose_named
    from maskx_model.configure.yaml_text import to_yaml

    print(to_yaml(choose_named(config, overrides)), end="")
