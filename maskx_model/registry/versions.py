"""Versions and aliases of a registered name, as MLflow's client gives them."""

import re
from typing import Any

from data_prep.storage.errors import ConfigError

NAME = re.compile(r"[A-Za-z0-9._-]+")


def aliases_of(client: Any, name: str) -> dict[str, str]:
    """Alias → version number, of a name that may not exist yet."""
    found = client.search_registered_models(f"name = '{name}'")
    return {alias: str(version) for alias, version in found[0].aliases.items()} if found else {}


def version_number(client: Any, name: str, version: str) -> str:
    aliases = aliases_of(client, name)
    numbers = {str(each.version) for each in client.search_model_versions(f"name = '{name}'")}
    number = aliases.get(version, version)
    if number not in numbers:
        known = ", ".join([*sorted(numbers, key=int), *sorted(aliases)]) or "none; `maskx model register` makes one"
        raise ConfigError(f"{name!r} has no version {version!r} in the registry (there are: {known})")
    return number


def check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise ConfigError(f"name {name!r}: use letters, digits, dots, dashes and underscores only")
