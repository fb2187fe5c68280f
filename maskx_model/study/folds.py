"""A's classes in folds: each in turn plays B."""

from collections.abc import Sequence

import numpy as np

from data_prep.format.vocabulary import Vocabulary
from data_prep.storage.errors import ConfigError
from maskx_model.data.mask_classes import resolve_mask_classes

FOLD_SEED = 0

Fold = tuple[int, ...]
"""Positions in the vocabulary, in order."""


class NothingToHoldOutError(ConfigError):
    """A dataset whose classes allow no estimate by leaving some out."""


def random_folds(classes: Sequence[int], count: int) -> tuple[Fold, ...]:
    """Folds of equal size, or one class more, at random but always the same; of fewer classes than `count` one each.

    Raises ConfigError for only one fold, NothingToHoldOutError for fewer than two classes.
    """
    if count < 2:
        raise ConfigError(f"folds: at least 2 are needed, {count} was requested")
    if len(classes) < 2:
        raise NothingToHoldOutError(
            f"classes with masks to train on and to measure by: {len(classes)}; at least 2 are needed to leave one out"
        )
    order = np.random.default_rng(FOLD_SEED).permutation(sorted(classes))
    return tuple(tuple(sorted(part.tolist())) for part in np.array_split(order, min(count, len(classes))))


def listed_folds(
    choices: Sequence[str], classes: Sequence[int], vocabulary: Vocabulary, source: str
) -> tuple[Fold, ...]:
    """Folds from files of class names (or other choices that `resolve_mask_classes` knows).

    For folds that resemble B, where a user knows how: where classes of B appear together in images, the
    classes of a fold should, too. Raises ConfigError for a class outside A, one in two folds, and a fold that
    leaves no class to train on.
    """
    folds = tuple(resolve_mask_classes(choice, vocabulary, source) for choice in choices)
    known, seen = set(classes), dict[int, str]()
    for choice, fold in zip(choices, folds, strict=True):
        name = vocabulary.names
        for position in fold:
            if position not in known:
                raise ConfigError(f"fold {choice!r}: {name[position]!r} is not among the mask classes")
            if position in seen:
                raise ConfigError(f"fold {choice!r}: {name[position]!r} is in fold {seen[position]!r} too")
            seen[position] = choice
        if len(fold) == len(known):
            raise ConfigError(f"fold {choice!r}: holds all mask classes, so none is left to train on")
    return folds
