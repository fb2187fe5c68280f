"""What a model was made from: two trainings with the same origin give the same model."""

import re

from data_prep.storage.errors import CheckpointError, ConfigError

Origin = dict[str, str | int | float | None]
"""What a model was made from: hashes of its inputs, its settings, and the versions of the code."""
PACKAGES = ("maskx", "torch", "torchvision")
"""The packages whose releases decide a training's result; their versions stand in its origin."""


def check_same_origin(what: str, before: Origin, made_from: Origin) -> None:
    """Raise CheckpointError if two origins differ in what decides the result.

    The commit does not, nor does a patch of a package; an origin that lacks a package's version is not compared in it.
    `what`: the subject of the message, such as "detector: holds a model of".
    """
    names = {*before, *made_from} - {"commit", *PACKAGES}
    different = sorted(name for name in names if before.get(name) != made_from.get(name))
    different += [
        f"{name} ({before[name]}, now {made_from[name]})"
        for name in PACKAGES
        if name in before and name in made_from and release(before[name]) != release(made_from[name])
    ]
    if different:
        named = ", ".join(different)
        raise CheckpointError(
            f"{what} a training that differs in {named}; choose another output folder, or delete this one"
        )


def check_same_run(out: str, before: Origin, made_from: Origin) -> None:
    """Raise ConfigError if `out` holds the work of another run, finished or not, which this one would mix with."""
    different = sorted(name for name in made_from if before.get(name) != made_from[name])
    if different:
        raise ConfigError(
            f"{out}: holds a run that differs in {', '.join(different)}; choose another folder, or delete this one"
        )


def patched(before: Origin, made_from: Origin) -> list[str]:
    """The packages whose versions differ in a patch or build only, each as `torch 2.14.0, now 2.14.1`."""
    return [
        f"{name} {before[name]}, now {made_from[name]}"
        for name in PACKAGES
        if name in before and name in made_from and before[name] != made_from[name]
    ]


def release(number: object) -> str:
    """The part of a version that decides results, major and minor: `2.14` of `2.14.1+cu126`."""
    numbers = re.match(r"\d+(\.\d+)?", str(number))
    return numbers.group() if numbers else str(number)
