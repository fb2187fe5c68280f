"""Checks that the packages with generic names are maskx's own."""

import importlib.util
from pathlib import Path

from data_prep.storage.errors import ConfigError


def check_packages() -> None:
    """Check that `components` and `pipelines` are maskx's: the names are generic, another package may come first.

    Raises:
        ConfigError: one of them is somebody else's; names the folder.
    """
    ours = Path(__file__).parent.parent
    for name in ("components", "pipelines"):
        spec = importlib.util.find_spec(name)
        folders = [] if spec is None else [Path(path) for path in spec.submodule_search_locations or []]
        if folders != [ours / name]:
            found = ", ".join(map(str, folders)) or "nothing"
            raise ConfigError(
                f"the package {name!r} that Python finds is {found}, not maskx's {ours / name}; "
                "take that folder off PYTHONPATH, or run from another folder"
            )
