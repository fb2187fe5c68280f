"""The paper's tables and its Figure 3 over several choices of A, which share one detector and its features."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from data_prep.format.reader import Dataset
from data_prep.storage.errors import ConfigError
from data_prep.storage.own_files import read_own, write_own
from maskx_model.data.for_dataset import for_dataset
from maskx_model.data.mask_classes import check_choice, resolve_mask_classes
from maskx_model.preflight.findings import Findings
from maskx_model.run_config import RunConfig
from maskx_model.study.table_result import Tables
from maskx_model.study.table_rows import chosen_rows
from maskx_model.study.tables import TablesOptions, frozen_detector, tables

SEPARATOR = ";"
"""Between the rows of a split, where they are one text: names of rows have commas."""


@dataclass(frozen=True)
class Split:
    """A choice of A, as `mask_classes` of a training, and the rows to train with it (`table_rows.chosen_rows`)."""

    mask_classes: str
    rows: tuple[str, ...]


def parse_split(text: str) -> Split:
    """The split that `A=ROWS` names; raises ConfigError for a choice of A or a row that does not exist."""
    mask_classes, equals, rows = text.rpartition("=")
    if not equals or not mask_classes:
        raise ConfigError(f"split {text!r}: write A=ROWS, such as voc=1a{SEPARATOR}1c")
    names = tuple(row.strip() for row in rows.split(SEPARATOR))
    check_choice(mask_classes)
    chosen_rows(names)
    return Split(mask_classes, names)


def check_splits(texts: Sequence[str]) -> None:
    """Raise ConfigError with everything that is wrong with these splits, a line each, or if there is none."""
    findings = Findings()
    for text in texts:
        findings.attempt(parse_split, text)
    if not texts:
        findings.problems.append("splits: name a choice of A and its rows, such as voc=1a")
    findings.raise_problems()


class SplitResult(msgspec.Struct, frozen=True):
    """`split.json`: the rows that were trained with the masks of A, which `mask_classes` names, and the size of A."""

    mask_classes: str
    classes_in_a: int
    tables: Tables


def prepare_features(dataset: str, detector: str, features: str, preset: RunConfig, max_images: int | None) -> str:
    """Compute what all heads of all splits are trained on and measured by, once, and return the folder's URI.

    `features`: the folder. `max_images`: validation images at most, None for all. Raises DataError and CheckpointError
    for a dataset or a detector that does not match.
    """
    data = Dataset.open(dataset)
    preset = for_dataset(preset, data, "stage2", "joint")
    options = TablesOptions(max_images=max_images)
    frozen_detector(data, detector, features, preset, options, None).prepare((preset.stage2.rois,))
    return features


def study_split(
    dataset: str,
    detector: str,
    features: str,
    out: str,
    preset: RunConfig,
    split: Split,
    seeds: Sequence[int],
    max_images: int | None,
) -> str:
    """Train and measure rows of the tables with one choice of A; returns the URI of its `split.json`.

    `out`: the folder of the whole study, in which this split gets one of its own. `seeds`: of the heads. What is there
    already is not computed again. Raises as `tables` does.
    """
    data = Dataset.open(dataset)
    a = resolve_mask_classes(split.mask_classes, data.vocabulary, for_dataset(preset, data, "stage2").stage2_source)
    folder = f"{out}/{_slug(split.mask_classes)}/{_slug('-'.join(split.rows))}"
    options = TablesOptions(split.rows, seeds, max_images=max_images)
    measured = tables(dataset, folder, preset, options, [detector], split.mask_classes, features=features)
    result = SplitResult(split.mask_classes, len(a), measured)
    uri = f"{folder}/split.json"
    write_own(uri, result)
    return uri


def read_splits(uris: Sequence[str]) -> list[SplitResult]:
    """The results of several splits, the smallest A first; raises DataError for one that is missing or damaged."""
    return sorted((read_own(uri, SplitResult) for uri in uris), key=lambda each: (each.classes_in_a, each.mask_classes))


def _slug(text: str) -> str:
    """A folder's name."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
