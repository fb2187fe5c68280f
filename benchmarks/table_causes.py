"""Why some of the paper's orderings turn round in a toy world: the same rows with another budget.

Rows of Tables 1 and 2 whose order `maskx study tables` found turned round are trained with more steps and at lower
learning rates, on the same kept features, and GrabCut is measured in the same world. What changes with the budget is
the budget's doing; what does not is the world's.

    python -m benchmarks.table_causes --dataset DIR --detector DIR --mask-classes FILE --out DIR
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product, starmap
from statistics import mean
from typing import Annotated

import msgspec
import tyro

from benchmarks.settings import print_settings
from data_prep.format.reader import Dataset
from maskx_model.data.mask_classes import resolve_mask_classes
from maskx_model.evaluation.protocols import exhaustive_classes
from maskx_model.presets import get_preset
from maskx_model.study.frozen import Frozen
from maskx_model.study.jobs import Job, Row, run_jobs
from maskx_model.study.table_rows import METHODS
from maskx_model.study.tables import mask_config
from maskx_model.study.variants import Variant
from maskx_model.study.whole_models import grabcut_row

HEADS = ("class_agnostic", "class_agnostic+mlp", "transfer", "transfer+mlp", "oracle", "grabcut-masks")


@dataclass(frozen=True)
class Budget:
    """A head's training: so many steps, at that learning rate."""

    steps: int
    rate: float

    def __str__(self) -> str:
        return f"{self.steps} steps at {self.rate:g}"


@dataclass(frozen=True)
class Options:
    """`mask_classes` is A; each of `steps` goes with each of `rates`, the toy preset's come first. GrabCut is slow,
    so it is measured on `grabcut_images` images."""

    dataset: str
    detector: str
    mask_classes: str
    out: str
    heads: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME …")] = HEADS
    steps: tuple[int, ...] = (200, 1000)
    rates: tuple[float, ...] = (3e-3, 3e-4)
    seed: int = 0
    grabcut_images: int = 150
    jobs: int = os.cpu_count() or 1


class Found(msgspec.Struct, frozen=True):
    """Mask AP, 0-100: on predicted boxes of B's and A's classes, and on ground-truth boxes of B's."""

    method: str
    budget: str
    b: float
    a: float
    b_given: float


def trained(frozen: Frozen, a: tuple[int, ...], options: Options) -> Iterator[Found]:
    """Every head with every budget."""
    for budget in starmap(Budget, product(options.steps, options.rates)):
        schedule = replace(frozen.preset.stage2, steps=budget.steps, learning_rates=(budget.rate,))
        own = replace(frozen, preset=replace(frozen.preset, stage2=schedule))
        for targets in ("masks", "grabcut"):
            names = [
                name for name in options.heads if (METHODS[name].training == "GrabCut masks") == (targets != "masks")
            ]
            jobs = [job(own, name, a, options.seed) for name in names]
            of_targets = own if targets == "masks" else replace(own, targets="grabcut")
            rows = run_jobs(of_targets, jobs, f"{options.out}/rows", options.jobs, str(budget)) if jobs else []
            yield from (found(name, str(budget), row, a) for name, row in zip(names, rows, strict=True))


def job(frozen: Frozen, name: str, a: tuple[int, ...], seed: int) -> Job:
    """A row of the tables, to train and to measure."""
    method = METHODS[name]
    variant = Variant(name, mask_config(frozen.preset, method, None), frozen.preset.stage2.rois)
    every_class = method.all_masks or method.training == "GrabCut masks"
    return Job(variant, frozen.masks_of if every_class else a, frozen.measured, seed)


def found(method: str, budget: str, row: Row, a: tuple[int, ...]) -> Found:
    """Means over the classes of B and A."""
    in_a = frozenset(a)
    b, of_a = ([ap for label, ap in row.ap.items() if (label in in_a) == among] for among in (False, True))
    given = mean(ap for label, ap in row.ap_gt_boxes.items() if label not in in_a)
    return Found(method, budget, mean(b), mean(of_a), given)


def main(options: Options) -> None:
    """Train, measure, print."""
    print_settings(**vars(options))
    preset, data = get_preset("toy"), Dataset.open(options.dataset)
    source = preset.stage2_source
    a = resolve_mask_classes(options.mask_classes, data.vocabulary, source)
    frozen = Frozen(
        dataset=options.dataset,
        detector=options.detector,
        features=f"{options.out}/features",
        preset=preset,
        masks_of=resolve_mask_classes("coco", data.vocabulary, source),
        measured=tuple(sorted(exhaustive_classes(data, source).values())),
    )
    rows = list(trained(frozen, a, options))
    few = replace(frozen, max_images=options.grabcut_images)
    rows.append(found("grabcut", f"{options.grabcut_images} images", grabcut_row(few), a))
    print(f"{'':24}{'':24}{'B':>8}{'A':>8}{'B, boxes given':>16}")
    for each in rows:
        print(f"{each.method:24}{each.budget:24}{each.b:8.1f}{each.a:8.1f}{each.b_given:16.1f}")
    print(msgspec.json.encode({"rows": rows}).decode())


if __name__ == "__main__":
    main(tyro.cli(Options))
