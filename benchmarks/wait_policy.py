"""What the short spin that `maskx` sets for waiting threads costs on a free machine and gains on a busy one.

Stage 1 of the toy preset is trained for some steps, with OpenMP's default, with the short spin (GOMP_SPINCOUNT) and
with none (OMP_WAIT_POLICY=PASSIVE), each time alone and beside processes that only count. OpenMP reads the variables
when torch is imported, so each measurement is a process of its own; the policies take turns. "free" is free only if
nothing else runs on the machine.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import tyro

from benchmarks.settings import print_settings
from pipelines.cli import SPIN_COUNT

POLICIES: dict[str, dict[str, str]] = {
    "default": {},
    "short spin": {"GOMP_SPINCOUNT": SPIN_COUNT},
    "PASSIVE": {"OMP_WAIT_POLICY": "PASSIVE"},
}


@dataclass(frozen=True)
class Options:
    """Trainings of `steps` steps, each after one of `warm_up` steps, with `threads` threads; `others` busy processes
    beside them; `rounds` of all measurements; a world of `images` images."""

    steps: int = 10
    warm_up: int = 2
    threads: int = 2
    others: int = 2
    rounds: int = 2
    images: int = 200


class Speed(NamedTuple):
    """Steps a second, and CPU seconds (user and system, all threads) of a step."""

    steps_per_second: float
    cpu_seconds_per_step: float


def main(options: Options) -> None:
    """Print each policy's speed on a free and on a busy machine, and the ratios as JSON."""
    print_settings(**vars(options))
    speeds: dict[tuple[str, str], list[Speed]] = {}
    with TemporaryDirectory() as folder:
        dataset = prepared(Path(folder), options.images)
        for round_ in range(options.rounds):
            for machine, others in (("free", 0), ("busy", options.others)):
                for policy in list(POLICIES)[:: 1 if round_ % 2 == 0 else -1]:
                    with busy(others):
                        speeds.setdefault((machine, policy), []).append(speed_in_process(dataset, policy, options))
    medians = {
        key: Speed(*(statistics.median(values) for values in zip(*each, strict=True))) for key, each in speeds.items()
    }
    print(f"{'machine':<10}{'policy':<12}{'steps/s':>10}{'CPU s/step':>12}")
    for (machine, policy), speed in sorted(medians.items(), reverse=True):
        print(f"{machine:<10}{policy:<12}{speed.steps_per_second:>10.2f}{speed.cpu_seconds_per_step:>12.2f}")
    ratios = {
        machine: medians[machine, "short spin"].steps_per_second / medians[machine, "default"].steps_per_second
        for machine in ("free", "busy")
    }
    report = {"ratio": round(ratios["busy"], 3), "ratio_free": round(ratios["free"], 3)}
    cpu = {
        f"cpu_{machine}_{policy}": round(each.cpu_seconds_per_step, 3) for (machine, policy), each in medians.items()
    }
    print(json.dumps({**report, **cpu, "settings": vars(options)}))


def prepared(folder: Path, images: int) -> str:
    """A toy world's dataset of this number of training images."""
    from data_prep.prepare.options import PrepareOptions
    from data_prep.prepare.prepare import prepare
    from data_prep.toy_world import write_toy_world

    original, dataset = folder / "original", str(folder / "dataset")
    write_toy_world(original, images=images, val_images=20, seed=0)
    sources = (f"coco=coco:{original / 'coco'}", f"vg=vg:{original / 'visual_genome'}")
    prepare(PrepareOptions(sources=sources, out=dataset, max_rejected=1.0))
    return dataset


@contextmanager
def busy(count: int) -> Iterator[None]:
    """Processes that use a core each, for as long as the block runs."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def speed_in_process(dataset: str, policy: str, options: Options) -> Speed:
    """The speed of a training in a new process with this policy."""
    ours = {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"}
    environment = {name: value for name, value in os.environ.items() if name not in ours} | POLICIES[policy]
    environment["OMP_NUM_THREADS"] = str(options.threads)
    program = (
        f"from benchmarks.wait_policy import print_speed; print_speed({dataset!r}, {options.warm_up}, {options.steps})"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    return Speed(*json.loads(done.stdout.splitlines()[-1]))


def print_speed(dataset: str, warm_up: int, steps: int) -> None:
    """Train stage 1 for `warm_up` steps, then for `steps`, and print the speed of the latter as JSON."""
    from maskx_model.presets import toy
    from maskx_model.schedules import NO_CROPS
    from maskx_model.training.stages import train_detector

    for counted in (warm_up, steps):
        preset = toy()
        preset = replace(preset, crops=NO_CROPS, stage1=replace(preset.stage1, steps=counted))
        wall, cpu = time.perf_counter(), time.process_time()
        with TemporaryDirectory() as out:
            train_detector(dataset, out, preset)
        seconds, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(json.dumps([steps / seconds, cpu / steps]))


if __name__ == "__main__":
    main(tyro.cli(Options))
