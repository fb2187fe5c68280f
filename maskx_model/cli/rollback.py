"""`maskx model rollback`."""

from data_prep.arguments import Grouped
from maskx_model.cli.arguments import RegistryOptions


def rollback(*, registry: Grouped[RegistryOptions]) -> None:
    """Make the version that was the champion before the present one the champion again; twice undoes it.

    Example:
        maskx model rollback
    """
    from maskx_model.registry.promotion import rollback as run

    print(run(registry.name, registry.tracking_uri))
