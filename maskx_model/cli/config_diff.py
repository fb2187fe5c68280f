"""`maskx config diff`."""

from typing import Annotated

from tyro.conf import Positional, arg


def config_diff(
    a: Annotated[Positional[str], arg(metavar="PRESET|FILE")], b: Annotated[Positional[str], arg(metavar="PRESET|FILE")]
) -> None:
    """List the fields in which two configurations differ.

    Args:
        a: A preset, or a file as `maskx config show` writes it.
        b: The one to compare with.

    Example:
        maskx config diff coco_r50 vg3000_r101
    """
    from maskx_model.configure.choose import choose_named, differences
    from maskx_model.configure.yaml_text import written

    found = differences(choose_named(a), choose_named(b))
    for path, (ours, theirs) in found.items():
        print(f"{path}: {written(ours)} → {written(theirs)}")
    if not found:
        print("no difference")
