"""Whether `maskx study holdout` foretells AP on classes without masks: in generated worlds, B's masks can be looked up.

In each world one group of twelve classes (seed modulo five) loses its masks: B. The study holds out the four other
groups in turn, and estimates each variant's mask AP on B. Then the variants are trained on all of A and measured on B.
Many images are measured on: where little is found in few of them, true AP is as much luck as its estimate.

    python -m benchmarks.holdout --seeds 23 24 25 --worlds hues pairs
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from statistics import mean

import msgspec
import torch

from benchmarks.settings import print_settings
from benchmarks.toy_run import GROUPS, ToyRun, sized
from data_prep.toy_world.classes import STYLES
from maskx_model.presets import get_preset
from maskx_model.study.estimate import Holdout, VariantResult
from maskx_model.study.frozen_detector import FrozenDetector
from maskx_model.study.holdout import HoldoutOptions, holdout
from maskx_model.study.jobs import Job, run_jobs
from maskx_model.study.variants import BASELINE, variants_of

VARIANTS = ("cls", "cls+box", "randn", "box", "1-layer", "mlp-light", "gt-rois")


class Compared(msgspec.Struct, frozen=True):
    """A variant in one world: mask AP on B, 0-100, estimated and true, on predicted and on ground-truth boxes.

    `estimate_error` is how wrong the study thinks that its estimate may be.
    """

    variant: str
    estimate: float
    estimate_error: float | None
    true: float
    estimate_given: float
    true_given: float
    flagged: bool

    @property
    def error(self) -> float:
        """Of the estimate, relative to the true AP."""
        return abs(self.estimate - self.true) / max(self.true, 1e-9)


class World(msgspec.Struct, frozen=True):
    """All variants in one world. `missed`: worse than class-agnostic on B, but not flagged. `regret`: what the picked
    variant loses on B, relative to the best."""

    world: str
    variants: tuple[Compared, ...]
    picked: str
    missed: tuple[str, ...]
    regret: float


def study(run: ToyRun, names: Sequence[str], seeds: Sequence[int], folds: int, jobs: int) -> World:
    """One world's study beside the true AP."""
    dataset, detector = run.data.uri, run.detector_folder
    groups_of_a = [sorted(run.masked_group(number)) for number in range(GROUPS) if number != run.seed % GROUPS]
    held_out = [run.class_list(f"fold-{number}", labels) for number, labels in enumerate(groups_of_a[:folds])]
    a = run.class_list("A", [label for labels in groups_of_a for label in labels])
    out = str(run.folder / "holdout")
    options = HoldoutOptions(variants=names, fold_classes=held_out, seeds=seeds, jobs=jobs)
    found = holdout(dataset, detector, out, run.preset, options, a)
    return compare(f"{run.style}-{run.seed}", found, true_ap(run, names, seeds, jobs, out))


def true_ap(
    run: ToyRun, names: Sequence[str], seeds: Sequence[int], jobs: int, out: str
) -> dict[str, tuple[float, ...]]:
    """Each variant's AP on B after training on A, on predicted and on ground-truth boxes: the mean over seeds."""
    b = tuple(sorted(run.group(run.seed % GROUPS)))
    a = tuple(sorted(run.classes - frozenset(b)))
    frozen = FrozenDetector(run.data.uri, run.detector_folder, f"{out}/features", run.preset, masks_of=a, measured=b)
    variants = variants_of(run.preset, names)
    trained = [Job(variant, a, b, seed) for variant in variants for seed in seeds]
    rows = run_jobs(frozen, trained, f"{out}/rows", jobs, "true AP")
    of_variant = {variant.name: rows[i * len(seeds) :][: len(seeds)] for i, variant in enumerate(variants)}
    return {
        name: (
            mean(mean(row.ap.values()) for row in own),
            mean(mean(row.ap_gt_boxes.values()) for row in own),
        )
        for name, own in of_variant.items()
    }


def compare(world: str, found: Holdout, true: dict[str, tuple[float, ...]]) -> World:
    """Estimates beside the true AP."""

    def compared(each: VariantResult) -> Compared:
        predicted, given = true[each.name]
        own = each.predicted
        return Compared(each.name, own.on_b, own.error, predicted, each.given.on_b, given, each.flagged)

    variants = tuple(compared(each) for each in found.variants)
    worse = [each for each in variants if each.true < true[BASELINE][0]]
    best = max(predicted for predicted, _ in true.values())
    return World(
        world=world,
        variants=variants,
        picked=found.picked,
        missed=tuple(each.variant for each in worse if not each.flagged),
        regret=1 - true[found.picked][0] / best if best else 0.0,
    )


def summary(worlds: Sequence[World]) -> dict[str, object]:
    """The three bars: errors of the estimates (of all variants, of those picked, and whether the study foresaw them),
    flags missed, and regret."""
    errors = {f"{world.world} {each.variant}": each.error for world in worlds for each in world.variants}
    picked = [each.error for world in worlds for each in world.variants if each.variant == world.picked]
    within = [error <= 0.2 for error in errors.values()]
    foreseen = [
        abs(each.estimate - each.true) <= 2 * each.estimate_error
        for world in worlds
        for each in world.variants
        if each.estimate_error is not None
    ]
    return {
        "estimates_within_20_percent": mean(within),
        "within_twice_their_own_error": mean(foreseen) if foreseen else None,
        "largest_error": max(errors.values()),
        "mean_error": mean(errors.values()),
        "largest_error_of_picked": max(picked),
        "flags_missed": [f"{world.world} {name}" for world in worlds for name in world.missed],
        "largest_regret": max(world.regret for world in worlds),
        "mean_regret": mean(world.regret for world in worlds),
        "worlds": worlds,
    }


def print_world(world: World) -> None:
    """The table of one world."""
    print(f"\n{world.world:24}{'estimate':>16}{'true':>8}{'error':>8}   ground-truth boxes{'estimate':>10}{'true':>8}")
    for each in sorted(world.variants, key=lambda each: -each.estimate):
        mark = " picked" if each.variant == world.picked else " flagged" if each.flagged else ""
        mark += " (missed)" if each.variant in world.missed else ""
        own_error = "" if each.estimate_error is None else f" ± {each.estimate_error:.2f}"
        print(
            f"{each.variant:24}{f'{each.estimate:.2f}{own_error}':>16}{each.true:8.2f}{each.error:8.0%}"
            f"{each.estimate_given:31.1f}{each.true_given:8.1f} {mark}"
        )
    print(f"the picked variant loses {world.regret:.1%} of the best one's AP on B", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[23, 24, 25], help="of the worlds")
    parser.add_argument("--worlds", choices=STYLES, nargs="+", default=list(STYLES))
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), help=f"beside {BASELINE}")
    parser.add_argument("--folds", type=int, default=GROUPS - 1, help="groups of A held out, one after the other")
    parser.add_argument("--head-seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/holdout"), help="what is cached and reused")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="heads at once, one thread each")
    parser.add_argument("--images", type=int, help="images of a world, if not the toy preset's")
    parser.add_argument("--val-images", type=int, default=1800, help="to measure on: six times the preset's")
    parser.add_argument("--steps", type=int, help="steps of each stage, to try it out")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print_settings(
        worlds=options.worlds,
        seeds=options.seeds,
        variants=options.variants,
        head_seeds=options.head_seeds,
        folds=options.folds,
        val_images=options.val_images,
    )
    preset = sized(get_preset("toy"), options.images, options.val_images, options.steps)
    worlds = []
    for style in options.worlds:
        for seed in options.seeds:
            run = ToyRun(options.out / f"{style}-{seed}", style, seed, preset)
            worlds.append(study(run, options.variants, options.head_seeds, options.folds, options.jobs))
            print_world(worlds[-1])
    print(msgspec.json.encode(summary(worlds)).decode())


if __name__ == "__main__":
    main()
