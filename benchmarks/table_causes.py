"""Why some of the paper's orderings turn round in a toy world: the same rows with another budget.

Rows of Tables 1 and 2 whose order `maskx study tables` found turned round are trained with more steps and at lower
learning rates, on the same cached features, and GrabCut is measured in the same world. What changes with the budget is
the budget's doing; what does not is the world's.

    python -m benchmarks.table_causes --dataset DIR --detector DIR --mask-classes FILE --out DIR
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product, starmap
from typing import Annotated

import msgspec
import tyro

from benchmarks.settings import print_settings
from data_prep.format.reader import Dataset
from maskx_model.data.mask_classes import resolve_mask_classes
from maskx_model.evaluation.protocols import exhaustive_classes
from maskx_model.presets import get_preset
from maskx_model.study.frozen_detector import FrozenDetector
from maskx_model.study.rows import Row
from maskx_model.study.table_result import row_result
from maskx_model.study.table_rows import TableRow
from maskx_model.study.table_runs import head_rows
from maskx_model.study.whole_models import grabcut_row

HEADS = ("class_agnostic", "class_agnostic+mlp", "transfer", "transfer+mlp", "oracle", "grabcut-masks")


@dataclass(frozen=True)
class Budget:
    """A head's training: so many steps, at that learning rate."""

    steps: int
    learning_rate: float

    def __str__(self) -> str:
        return f"{self.steps} steps at {self.learning_rate:g}"


@dataclass(frozen=True)
class Options:
    """`mask_classes` is A; each of `steps` goes with each of `learning_rates`, the toy preset's come first. GrabCut is
    slow, so it is measured on `grabcut_images` images."""

    dataset: str
    detector: str
    mask_classes: str
    out: str
    heads: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME …")] = HEADS
    steps: tuple[int, ...] = (200, 1000)
    learning_rates: tuple[float, ...] = (3e-3, 3e-4)
    seed: int = 0
    grabcut_images: int = 150
    jobs: int = os.cpu_count() or 1


class BudgetRow(msgspec.Struct, frozen=True):
    """Mask AP, 0-100: on predicted boxes of B's and A's classes, and on ground-truth boxes of B's."""

    method: str
    budget: str
    b: float
    a: float
    b_given: float

    @classmethod
    def of(cls, method: str, budget: str, row: Row, a: tuple[int, ...]) -> "BudgetRow":
        """The means over the classes of B and A."""
        result = row_result(TableRow("", method, method), [row], frozenset(a))
        assert result.b is not None and result.a is not None and result.b_given is not None
        return cls(method, budget, result.b.mean, result.a.mean, result.b_given.mean)


def trained(frozen: FrozenDetector, a: tuple[int, ...], options: Options) -> Iterator[BudgetRow]:
    """Every head with every budget."""
    for budget in starmap(Budget, product(options.steps, options.learning_rates)):
        schedule = replace(frozen.preset.stage2, steps=budget.steps, learning_rates=(budget.learning_rate,))
        own = replace(frozen, preset=replace(frozen.preset, stage2=schedule))
        folder = f"{options.out}/rows"
        rows = head_rows(own, options.heads, a, options.seed, options.jobs, folder, str(budget))
        yield from (BudgetRow.of(name, str(budget), row, a) for name, row in rows.items())


def main(options: Options) -> None:
    """Train, measure, print."""
    print_settings(**vars(options))
    preset, data = get_preset("toy"), Dataset.open(options.dataset)
    source = preset.stage2_source
    a = resolve_mask_classes(options.mask_classes, data.vocabulary, source)
    frozen = FrozenDetector(
        dataset=options.dataset,
        detector=options.detector,
        features=f"{options.out}/features",
        preset=preset,
        masks_of=resolve_mask_classes("coco", data.vocabulary, source),
        measured=tuple(sorted(exhaustive_classes(data, source).values())),
    )
    rows = list(trained(frozen, a, options))
    few = replace(frozen, max_images=options.grabcut_images)
    rows.append(BudgetRow.of("grabcut", f"{options.grabcut_images} images", grabcut_row(few), a))
    print(f"{'':24}{'':24}{'B':>8}{'A':>8}{'B, boxes given':>16}")
    for each in rows:
        print(f"{each.method:24}{each.budget:24}{each.b:8.1f}{each.a:8.1f}{each.b_given:16.1f}")
    print(msgspec.json.encode({"rows": rows}).decode())


if __name__ == "__main__":
    main(tyro.cli(Options))
