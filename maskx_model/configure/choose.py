"""Which configuration a command runs: a preset, changed by a file, changed by `--set`."""

from collections.abc import Sequence

from data_prep.storage.errors import ConfigError
from data_prep.storage.storage import exists, read
from maskx_model.configure.changes import changed, parse_override
from maskx_model.configure.fields import leaves, near_names
from maskx_model.configure.yaml_text import read_changes
from maskx_model.presets import PRESETS, get_preset
from maskx_model.run_config import RunConfig

PIPELINE_DEFAULT = "vg3000_r101"
"""The preset of a pipeline that names none."""


def choose(
    preset: str | None = None, config: str | None = None, overrides: Sequence[str] = (), default: str | None = None
) -> RunConfig:
    """The configuration that these ask for.

    Args:
        preset: The preset to begin with. A file that names its own needs none.
        config: A YAML file on disk or in object storage, or None.
        overrides: `FIELD=VALUE`; each overrides the file.
        default: The preset where neither an option nor a file names one.

    Raises:
        ConfigError: a preset, field or value that does not exist; a file that names another preset than the option.
        DataError: there is no such file.
    """
    changes = [] if config is None else read_changes(read(config), config)
    names = [change for change in changes if change.path == "name"]
    for change in names:
        if change.text not in PRESETS:
            raise ConfigError(f"{change.where}: name {change.text!r} is no preset; it is one of {', '.join(PRESETS)}")
        if preset not in (None, change.text):
            raise ConfigError(f"{change.where}: begins with preset {change.text}, --preset names {preset}; keep one")
    if config is not None and preset is None and not names:
        raise ConfigError(
            f"{config}: names no preset to begin with; add a line such as `name: coco_r50`, or pass --preset"
        )
    named = str(names[0].text) if names else preset or default
    if named is None:
        raise ConfigError(f"a preset or a configuration file is needed; presets: {', '.join(PRESETS)}")
    return changed(changed(get_preset(named), changes), [parse_override(each) for each in overrides])


def check_for_pipeline(run: RunConfig) -> None:
    """Raise ConfigError if the mask branch is of a kind that the pipeline does not train."""
    if run.mask.kind != "transfer" or run.mask.transfer_input == "embedding":
        raise ConfigError(
            f"mask.kind {run.mask.kind}, transfer_input {run.mask.transfer_input}: the pipeline trains kind transfer, "
            "without a file of word vectors, and class_agnostic beside it; use `maskx train masks` for others"
        )


def choose_named(what: str, overrides: Sequence[str] = ()) -> RunConfig:
    """The configuration of a preset or, where there is no preset of that name, of a file.

    Raises:
        ConfigError: it is neither, with the presets that resemble it; or the file or an override is wrong.
    """
    if what in PRESETS:
        return choose(what, overrides=overrides)
    if not exists(what):
        near = near_names(what, list(PRESETS))
        hint = f"do you mean {' or '.join(near)}?" if near else f"presets: {', '.join(PRESETS)}"
        raise ConfigError(f"{what}: neither a preset nor a file; {hint}")
    return choose(config=what, overrides=overrides)


def differences(a: RunConfig, b: RunConfig) -> dict[str, tuple[object, object]]:
    """The fields in which two configurations differ: path → value in `a`, value in `b`."""
    ours, theirs = leaves(a), leaves(b)
    return {path: (value, theirs[path]) for path, value in ours.items() if value != theirs[path]}
