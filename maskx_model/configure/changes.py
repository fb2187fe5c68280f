"""Changes of a run's configuration: each names a field and the text of its new value."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, get_type_hints

from data_prep.storage.errors import ConfigError
from maskx_model.configure.fields import find_field, leaves
from maskx_model.configure.values import Text, allowed, parse
from maskx_model.presets import PRESETS
from maskx_model.run_config import RunConfig
from maskx_model.schedules import Schedule

logger = logging.getLogger(__name__)

STAGES = ("stage1", "stage2", "joint")
"""The fields of RunConfig that are schedules."""
_MOVE = "leave milestones out, and they move with the steps"


@dataclass(frozen=True)
class Change:
    """A new value for a field: its path, the text of the value, and what says so (an option, or a file's line)."""

    path: str
    text: Text
    where: str


def parse_override(override: str) -> Change:
    """The change that `--set FIELD=VALUE` asks for; raises ConfigError for what is not written so."""
    path, equals, value = override.partition("=")
    where = f"--set {override}"
    if not equals or not path.strip():
        raise ConfigError(f"{where}: write FIELD=VALUE, for example --set stage1.steps=20000")
    if path.strip() == "name":
        raise ConfigError(f"{where}: name is the preset that a run begins with; choose it with --preset")
    return Change(path.strip(), value.strip(), where)


def changed(config: RunConfig, changes: Sequence[Change]) -> RunConfig:
    """The configuration with these changes, the last one where a field is named twice.

    Where a schedule's steps change and its milestones do not, the milestones move with the steps, and the warm-up
    takes no more than a tenth of them. Of steps, and of passes that would set them, those that are set count, and the
    others become the preset's, or null. Where a file holds both, as `maskx config show` prints them, those count that
    are not the preset's.

    Raises:
        ConfigError: a field that does not exist, a value that it cannot have, or values that do not go together.
    """
    values, given = leaves(config), {change.path: change for change in changes}
    for change in given.values():
        values[change.path] = value_of(change)
    _settle_passes(values, given)
    for stage in STAGES:
        steps, own = f"{stage}.steps", getattr(config, stage)
        set_anew = steps in given or values[steps] != own.steps
        if set_anew and f"{stage}.milestones" not in given and values[steps] >= 1:
            moved: Schedule = own.of_steps(values[steps])
            values[f"{stage}.milestones"] = moved.milestones
            if f"{stage}.warmup_steps" not in given:
                values[f"{stage}.warmup_steps"] = moved.warmup_steps
    result: RunConfig = _build(RunConfig, "", values, given)
    _check_milestones(result, given)
    return result


def _settle_passes(values: dict[str, Any], given: Mapping[str, Change]) -> None:
    """Take the passes out of stages whose steps are set, and give stages whose passes are set the preset's steps.

    Raises ConfigError where both are set, and other than the preset's.
    """
    make = PRESETS.get(values["name"])
    preset = {} if make is None else leaves(make())
    for stage in STAGES:
        steps, passes = f"{stage}.steps", f"passes.{stage}"
        if values[passes] is None or not {steps, passes} & given.keys():
            continue
        if steps not in given:
            values[steps] = preset.get(steps, values[steps])
        elif passes not in given:
            values[passes] = None
        elif values[steps] != preset.get(steps):
            if values[passes] != preset.get(passes):
                raise ConfigError(
                    f"{given[steps].where}: {steps}, and {given[passes].where}: {passes}, which would set the steps by "
                    f"the number of images; leave out one of them, or set {passes} to null"
                )
            values[passes] = None


def value_of(change: Change) -> Any:
    """The value that a change's text stands for; raises ConfigError for a field or value that does not exist."""
    field = find_field(change.path, change.where)
    try:
        return parse(change.text, field.type)
    except ValueError:
        shown = f"[{', '.join(change.text)}]" if isinstance(change.text, list) else change.text
        raise ConfigError(
            f"{change.where}: {field.path} is {allowed(field.type)}, not {shown!r} ({field.sentence.rstrip('.')})"
        ) from None


def _build(group: type[Any], prefix: str, values: Mapping[str, Any], given: Mapping[str, Change]) -> Any:
    """The dataclass with the values of the paths below `prefix`."""
    hints = get_type_hints(group)
    arguments = {
        field.name: _build(hints[field.name], f"{prefix}{field.name}.", values, given)
        if is_dataclass(hints[field.name])
        else values[f"{prefix}{field.name}"]
        for field in fields(group)
    }
    try:
        return group(**arguments)
    except ConfigError as error:
        raise ConfigError(f"{_cause(prefix, str(error), given)}{error}") from None


def _cause(prefix: str, message: str, given: Mapping[str, Change]) -> str:
    """What brought the group into this state: the change of the field that the message begins with, or of its group."""
    named = given.get(prefix + message.partition(":")[0])
    own = [named] if named else [change for path, change in given.items() if path.startswith(prefix)]
    return "".join(f"{change.where}: {prefix}" for change in own[:1])


def _check_milestones(config: RunConfig, given: Mapping[str, Change]) -> None:
    """Raise ConfigError for a change that leaves a milestone where training has ended; tell of one that leaves the
    preset's milestones to a longer training, as in a printed file of which the steps alone were edited."""
    preset = PRESETS[config.name]() if config.name in PRESETS else config
    for stage in STAGES:
        schedule: Schedule = getattr(config, stage)
        planned: Schedule = getattr(preset, stage)
        causes = [given[f"{stage}.{name}"] for name in ("milestones", "steps") if f"{stage}.{name}" in given]
        if not causes or not schedule.milestones or schedule.decay != "steps":
            continue
        late = [milestone for milestone in schedule.milestones if milestone >= schedule.steps]
        if late:
            raise ConfigError(
                f"{causes[0].where}: {stage}.milestones holds {late[0]}, but training ends at step {schedule.steps}; "
                f"the learning rate would not fall there; {_MOVE}"
            )
        own = schedule.milestones == planned.milestones and schedule.steps > planned.steps
        if own and (cause := given.get(f"{stage}.milestones")):
            beside = f"{stage}.milestones are those of {planned.steps} steps, and training has {schedule.steps}"
            logger.warning("%s: %s; %s", cause.where, beside, _MOVE)
