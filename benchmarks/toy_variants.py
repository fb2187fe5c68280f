"""Which variant of the mask head holding classes of A out picks: how the toy preset's variant was chosen.

B's masks are never looked at. Of A's four groups one after the other loses its masks too; each variant is trained on
the other three, and measured by its mask AP on the group held out, on predicted boxes.

    python -m benchmarks.toy_variants --seeds 0 --folds 2
"""

import argparse
from pathlib import Path
from statistics import mean, stdev

import msgspec
import torch

from benchmarks.settings import print_settings
from benchmarks.toy_run import GROUPS, ToyRun, transfer_config

VARIANTS: dict[str, dict[str, object]] = {
    "class_agnostic": {"kind": "class_agnostic", "mlp": False},
    "cls": {"transfer_input": "cls", "mlp": False},
    "box": {"transfer_input": "box", "mlp": False},
    "cls+box": {"transfer_input": "cls+box", "mlp": False},
    "cls+box+mlp": {"transfer_input": "cls+box", "mlp": True},
    "randn": {"transfer_input": "randn", "mlp": False},
}


def held_out_ap(run: ToyRun, fold: int, in_b: frozenset[int]) -> dict[str, float | None]:
    """Mask AP of every variant on the group held out; B takes no part, neither in training nor in measuring."""
    held_out = run.group(fold)
    seen = run.classes - in_b - held_out
    models = {name: run.head(transfer_config(**changes), seen) for name, changes in VARIANTS.items()}
    result = run.measure(models, run.classes - held_out)
    return {name: result.ap[name]["B"] for name in VARIANTS}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--folds", type=int, default=GROUPS - 1, help="groups of A held out, one after the other")
    parser.add_argument("--world", choices=("hues", "pairs"), default="hues")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/toy"), help="worlds and detectors, reused")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print_settings(world=options.world, seeds=options.seeds, folds=options.folds)
    found: dict[str, list[float]] = {name: [] for name in VARIANTS}
    for seed in options.seeds:
        run = ToyRun(options.out / f"{options.world}-{seed}", options.world, seed)
        b = seed % GROUPS
        for fold in [group for group in range(GROUPS) if group != b][: options.folds]:
            for name, ap in held_out_ap(run, fold, run.group(b)).items():
                found[name].append(ap or 0.0)
                print(f"seed {seed}, group {fold} held out: {name:20}{ap or 0.0:6.1f}", flush=True)
    means = {name: mean(values) for name, values in found.items()}
    spread = {name: stdev(values) if len(values) > 1 else 0.0 for name, values in found.items()}
    for name, value in sorted(means.items(), key=lambda item: -item[1]):
        print(f"{name:20}{value:6.1f} ± {spread[name]:.1f}")
    picked = max((name for name in means if "class_agnostic" not in name), key=means.__getitem__)
    print(msgspec.json.encode({"picked": picked, "held_out_ap": means, "spread": spread}).decode())


if __name__ == "__main__":
    main()
