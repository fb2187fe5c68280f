"""What weight transfer gains on classes without masks, in generated worlds: transfer against class-agnostic.

For each seed a world is made, a detector trained on its boxes, and one group of twelve classes (seed modulo five)
loses its masks: B. On the same frozen detector, with equal steps and an equal learning rate, these heads are
trained: class-agnostic, transfer (the toy preset's), transfer from random vectors, and the oracle, which sees all
masks. `shuffled` is the transfer head with w_det exchanged among the classes of B.

    python -m benchmarks.toy_margin --seeds 0 1 2 3 4 --world hues
"""

import argparse
import concurrent.futures
import hashlib
import os
from pathlib import Path
from statistics import mean

import msgspec

from benchmarks.settings import print_settings
from maskx_model.presets import get_preset
from maskx_model.run_config import RunConfig

HEADS = ("class_agnostic", "transfer", "oracle", "randn", "shuffled")
Row = dict[str, object]


def measured_seed(folder: Path, world: str, seed: int, preset: RunConfig) -> Row:
    """The row of one world: measured, or read from the file of an earlier run with the same settings."""
    file = folder / f"{world}-{seed}" / "margin.json"
    settings = hashlib.sha256(msgspec.json.encode(preset)).hexdigest()
    if file.exists() and (document := msgspec.json.decode(file.read_bytes()))["settings"] == settings:
        return dict(document["row"])
    row = measure_seed(folder, world, seed, preset)
    file.write_bytes(msgspec.json.encode({"settings": settings, "row": row}))
    return row


def measure_seed(folder: Path, world: str, seed: int, preset: RunConfig) -> Row:
    """Mask AP on B (and A) of every head, for one world."""
    import torch

    from benchmarks.toy_run import GROUPS, ShuffledClasses, ToyRun, transfer_config

    torch.set_num_threads(1)
    run = ToyRun(folder / f"{world}-{seed}", world, seed, preset)  # type: ignore[arg-type]
    in_b = run.group(seed % GROUPS)
    mask_classes = run.classes - in_b
    transfer = run.head(transfer_config(kind="transfer"), mask_classes)
    models = {
        "class_agnostic": run.head(transfer_config(kind="class_agnostic"), mask_classes),
        "transfer": transfer,
        "oracle": run.head(transfer_config(kind="class_specific"), run.classes),
        "randn": run.head(transfer_config(transfer_input="randn"), mask_classes),
        "shuffled": ShuffledClasses.of(transfer, in_b, seed),
    }
    result = run.measure(models, mask_classes)
    box_ap = result.box_ap["transfer"]
    return {
        "seed": seed,
        "group": seed % GROUPS,
        "B": {head: result.ap[head]["B"] for head in HEADS},
        "A": {head: result.ap[head]["A"] for head in HEADS},
        "B_gt_boxes": {head: result.ap_gt_boxes[head]["B"] for head in HEADS},
        "box_ap": {"A": box_ap["A"], "B": box_ap["B"]},
    }


def summary(rows: list[Row]) -> dict[str, object]:
    """Ratio of the means on B (None to an AP of 0), wins over seeds, and each head's mean."""
    means = {
        part: {head: mean(row[part][head] for row in rows) for head in HEADS}  # type: ignore[index]
        for part in ("B", "A", "B_gt_boxes")
    }
    on_b = means["B"]
    return {
        "ratio": on_b["transfer"] / on_b["class_agnostic"] if on_b["class_agnostic"] else None,
        "wins": sum(row["B"]["transfer"] > row["B"]["class_agnostic"] for row in rows),  # type: ignore[index]
        "class_agnostic_of_oracle": on_b["class_agnostic"] / on_b["oracle"] if on_b["oracle"] else None,
        "means": means,
        "rows": rows,
    }


def print_row(title: str, values: dict[str, float]) -> None:
    """One line of the table."""
    print(f"{title:24}" + "".join(f"{values[head]:16.1f}" for head in HEADS), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--world", choices=("hues", "pairs"), default="hues")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/toy"), help="worlds and detectors, reused")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="seeds at once, one thread each")
    parser.add_argument("--images", type=int, help="images of a world, if not the toy preset's")
    parser.add_argument("--val-images", type=int, help="to measure on, if not the toy preset's")
    parser.add_argument("--steps", type=int, help="steps of each stage, to try it out")
    options = parser.parse_args()
    from benchmarks.toy_run import sized

    preset = sized(get_preset("toy"), options.images, options.val_images, options.steps)
    print_settings(world=options.world, seeds=options.seeds)
    print(f"{'mask AP':24}" + "".join(f"{head:>16}" for head in HEADS))
    rows: list[Row] = []
    with concurrent.futures.ProcessPoolExecutor(options.jobs, max_tasks_per_child=1) as pool:
        tasks = [pool.submit(measured_seed, options.out, options.world, seed, preset) for seed in options.seeds]
        for task in tasks:
            rows.append(row := task.result())
            print_row(f"seed {row['seed']}, B", row["B"])  # type: ignore[arg-type]
            print_row(f"seed {row['seed']}, A", row["A"])  # type: ignore[arg-type]
    print(msgspec.json.encode({"world": options.world, **summary(rows)}).decode())


if __name__ == "__main__":
    main()
