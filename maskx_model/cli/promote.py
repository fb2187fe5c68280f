"""`maskx model promote`."""

from typing import Annotated

from tyro.conf import Positional, arg

from data_prep.arguments import Grouped
from maskx_model.cli.arguments import RegistryOptions


def promote(version: Annotated[Positional[str], arg(metavar="VERSION")], *, registry: Grouped[RegistryOptions]) -> None:
    """Make a registered version the champion, whatever its metrics; this also approves one that waits for it.

    The version that was the champion keeps the alias `previous`.

    Args:
        version: The version's number, or its alias.

    Example:
        maskx model promote 3
    """
    from maskx_model.registry.promotion import promote as run

    print(run(registry.name, version, registry.tracking_uri))
