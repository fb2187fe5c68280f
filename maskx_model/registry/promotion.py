"""Which version is the champion: `register` asks the gates, `promote` is for people who know better or were asked to
approve, `rollback` takes the last change back.

The alias `champion` is the version to use, `previous` the one before it, `challenger` the last one that did not become
the champion.
"""

import logging
from collections.abc import Sequence
from typing import Any

import msgspec

from data_prep.storage.errors import ConfigError
from maskx_model.registry.gates import Rival, Verdict
from maskx_model.registry.mlflow_run import TrackingError, connected, resolve_tracking_uri
from maskx_model.registry.versions import aliases_of, check_name, version_number

logger = logging.getLogger(__name__)

CHAMPION = "champion"
CHALLENGER = "challenger"
PREVIOUS = "previous"
DECISION, APPROVAL = "decision", "approval"
"""Tags of a version: the alias it was given when it was registered; whether a person must approve it (`pending`), or
has (`given`)."""
TAG_LENGTH = 5000
"""Characters that MLflow's tables hold of a version's tag."""


def promote(name: str, version: str | int, tracking_uri: str | None = None) -> str:
    """Make a version, given by its number or alias, the champion whatever its numbers; returns its URI.

    The version that was the champion is `previous` from then on. A version that waits for approval has it. Raises
    ConfigError if there is no such version, TrackingError if the store does not keep the alias.
    """
    check_name(name)
    with connected(resolve_tracking_uri(tracking_uri)) as client:
        number = version_number(client, name, str(version))
        make_champion(client, name, number)
        if APPROVAL in client.get_model_version(name, number).tags:
            client.set_model_version_tag(name, number, APPROVAL, "given")
    return f"models:/{name}/{number}"


def rollback(name: str, tracking_uri: str | None = None) -> str:
    """Make the version that was the champion before the present one the champion again; returns its URI.

    The present one becomes `previous`, so that a second rollback undoes the first. Raises ConfigError where there is
    no version to go back to, TrackingError if the store does not keep the alias.
    """
    check_name(name)
    with connected(resolve_tracking_uri(tracking_uri)) as client:
        aliases = aliases_of(client, name)
        number = aliases.get(PREVIOUS)
        if number is None or number == aliases.get(CHAMPION):
            raise ConfigError(
                f"{name!r} has no version with the alias {PREVIOUS!r}, so no champion before the present one; "
                "`maskx model promote VERSION` makes another version the champion"
            )
        make_champion(client, name, number)
    return f"models:/{name}/{number}"


def make_champion(client: Any, name: str, number: str) -> None:
    """Move the alias `champion` to a version and read it back. The version that had it is `previous` before the alias
    moves, so that it stays reachable whenever this is cut off."""
    aliases = aliases_of(client, name)
    present = aliases.get(CHAMPION)
    if present == number:
        return
    if present is not None:
        _set_alias(client, name, PREVIOUS, present)
    _set_alias(client, name, CHAMPION, number)
    if aliases.get(CHALLENGER) == number:
        client.delete_registered_model_alias(name, CHALLENGER)


def give_alias(
    client: Any, name: str, version: Any, verdicts: Sequence[Verdict], rival: Rival | None, approval: bool
) -> None:
    """Give a version the alias that the gates' verdicts mean, log them, and mark it as decided.

    The verdicts are the run's artifact `gates.json` and its metrics `gate/…`, and tags `gate.…` of the version. With
    `approval` a version that passes waits, as the challenger, for a person.
    """
    passed = all(verdict.passed for verdict in verdicts)
    waits = passed and approval
    decision = CHAMPION if passed and not waits else CHALLENGER
    _log(client, name, version, verdicts, rival, decision)
    if waits:
        client.set_model_version_tag(name, version.version, APPROVAL, "pending")
    if decision == CHAMPION:
        make_champion(client, name, str(version.version))
    else:
        _set_alias(client, name, CHALLENGER, str(version.version))
    # Last: a registration that is cut off before asks the gates again.
    client.set_model_version_tag(name, version.version, DECISION, decision)
    _tell(name, str(version.version), verdicts, rival, decision, waits)


def _set_alias(client: Any, name: str, alias: str, number: str) -> None:
    client.set_registered_model_alias(name, alias, number)
    kept = aliases_of(client, name).get(alias)
    if kept != number:
        raise TrackingError(
            f"{name!r}: the alias {alias!r} was set to version {number} and is read back as {kept}; another "
            "registration changed it at the same time, or the store did not keep it: look, and promote by hand"
        )


def _log(client: Any, name: str, version: Any, verdicts: Sequence[Verdict], rival: Rival | None, decision: str) -> None:
    record = {"version": str(version.version), "champion": rival, "gates": verdicts, "decision": decision}
    client.log_dict(version.run_id, msgspec.to_builtins(record), "gates.json")
    for verdict in verdicts:
        text = f"{_outcome(verdict)}: {verdict.reason}"[:TAG_LENGTH]
        client.set_model_version_tag(name, version.version, f"gate.{verdict.gate}", text)
        client.log_metric(version.run_id, f"gate/{verdict.gate}/passed", float(verdict.passed))
        for figure, value in verdict.figures.items():
            client.log_metric(version.run_id, f"gate/{verdict.gate}/{figure}", value)


def _outcome(verdict: Verdict) -> str:
    return "passed" if verdict.passed else "failed"


def _tell(name: str, number: str, verdicts: Sequence[Verdict], rival: Rival | None, decision: str, waits: bool) -> None:
    uri, by_hand = f"models:/{name}/{number}", f"`maskx model promote {number} --name {name}`"
    for verdict in verdicts:
        logger.info("gate %s: %s, %s", verdict.gate, _outcome(verdict), verdict.reason)
    if decision == CHAMPION:
        logger.info("%s is the champion", uri)
        return
    stays = "there is no champion" if rival is None else f"version {rival.version} stays the champion"
    if waits:
        logger.info("%s passed and waits for approval, %s; %s gives it", uri, stays, by_hand)
    else:
        logger.info("%s is the challenger, %s; %s makes it the champion anyway", uri, stays, by_hand)
