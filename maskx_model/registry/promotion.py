"""Which version is the champion: `register` compares, `promote` is for people who know better."""

import logging
from collections.abc import Mapping
from typing import Any

from maskx_model.registry.mlflow_run import connected, resolve_tracking_uri
from maskx_model.registry.run_contents import COMPARED, RunContents
from maskx_model.registry.versions import aliases_of, check_name, version_number

logger = logging.getLogger(__name__)

CHAMPION = "champion"
CHALLENGER = "challenger"


def promote(name: str, version: str | int, tracking_uri: str | None = None) -> str:
    """Make a version, given by its number or alias, the champion whatever its numbers; returns its URI.

    The version that was the champion keeps no alias. Raises ConfigError if there is no such version.
    """
    check_name(name)
    with connected(resolve_tracking_uri(tracking_uri)) as client:
        number = version_number(client, name, str(version))
        client.set_registered_model_alias(name, CHAMPION, number)
        if aliases_of(client, name).get(CHALLENGER) == number:
            client.delete_registered_model_alias(name, CHALLENGER)
    return f"models:/{name}/{number}"


def compare(contents: RunContents, champion: Mapping[str, str] | None) -> tuple[bool, str]:
    """Whether a model takes the place of the present champion, given that version's tags, and the reason: the AP that
    was compared, the first of `COMPARED` that both have, or what makes them incomparable."""
    if champion is None:
        return True, "there was none"
    if champion.get("test_set") != contents.test_set:
        return False, "it was measured on other images, or with other classes in B"
    for name, title in COMPARED.items():
        if name in champion and name in contents.ap:
            own, present = contents.ap[name], float(champion[name])
            return own >= present, f"its {title} is {own:.2f}, the champion's {present:.2f}"
    return False, "no AP was measured of both"


def give_alias(client: Any, name: str, version: Any, contents: RunContents) -> None:
    """Give the version its alias, once: a champion that was replaced later does not come back by registering again."""
    if "decision" in version.tags:
        return
    champion = aliases_of(client, name).get(CHAMPION)
    present = None if champion is None else client.get_model_version(name, champion).tags
    better, reason = compare(contents, present)
    alias = CHAMPION if better else CHALLENGER
    client.set_registered_model_alias(name, alias, version.version)
    client.set_model_version_tag(name, version.version, "decision", alias)
    uri = f"models:/{name}/{version.version}"
    if better:
        logger.info("%s is the champion: %s", uri, reason)
    else:
        remedy = f"`maskx model promote {version.version} --name {name}` makes it the champion anyway"
        logger.info("%s is the challenger, version %s stays the champion: %s; %s", uri, champion, reason, remedy)
