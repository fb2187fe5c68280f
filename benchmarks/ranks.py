"""Two ranks on two cores, against two processes that train apart: what sharing a training costs.

    python -m benchmarks.ranks
    python -m benchmarks.ranks --detector toy --steps 40 --warm-up 10 --images-per-batch 8

Stage 1 on a small generated world, one thread each, after the start: steps of one process alone, of two processes at
once that know nothing of each other, and of two ranks with half of the batch each. Two processes apart do at most as
well as the machine allows; ranks are measured by that.

`resnet50` is the detector of the presets that are trained on several GPUs. The toy's steps take a twentieth of its
time, and its own batch norm needs 33 sums over the ranks in each: there, the ranks wait for each other.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import tyro

from benchmarks.settings import print_settings
from benchmarks.small_world import short_resnet_run, short_run, small_dataset
from maskx_model.training.metric_sink import Observers
from maskx_model.training.stages import train_detector


@dataclass(frozen=True)
class Options:
    """`steps`: of each training, of which the first `warm_up` are not timed. `min_size`: of resnet50's images, pixels.
    `worker` is what a rank is called with."""

    detector: Literal["resnet50", "toy"] = "resnet50"
    steps: int = 6
    warm_up: int = 2
    images_per_batch: int = 4
    min_size: int = 256
    images: int = 64
    rounds: int = 3
    worker: str | None = None


class Clock:
    """A sink that notes when each step ended."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def begin(self, _part: str) -> None:
        """Stage 1 has no parts."""

    def write(self, _step: int, _values: Mapping[str, float]) -> None:
        """Notes the time."""
        self.times.append(time.time())

    def close(self) -> None:
        """Nothing is open."""


def work(folder: Path, out: Path, options: Options) -> None:
    """Train, and write the seconds of a step after the warm-up."""
    clock = Clock()
    if options.detector == "toy":
        run = short_run(options.steps, 10**6, options.images_per_batch)
    else:
        run = short_resnet_run(options.steps, options.images_per_batch, options.min_size)
    train_detector(str(folder / "dataset"), str(out), run, device="cpu", observers=Observers(clock))
    if clock.times:
        seconds = (clock.times[-1] - clock.times[options.warm_up - 1]) / (options.steps - options.warm_up)
        out.with_suffix(".json").write_text(json.dumps(seconds))


def seconds_a_step(folder: Path, name: str, processes: int, ranks: int, options: Options) -> float:
    """Of trainings that run at once, the mean."""
    launcher = [sys.executable]
    if ranks > 1:
        launcher += ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"]
    given = {key: value for key, value in asdict(options).items() if key != "worker"}
    arguments = [f"--{key.replace('_', '-')}={value}" for key, value in given.items()]
    outs = [folder / f"{name}-{number}" for number in range(processes)]
    started = [
        subprocess.Popen(
            [*launcher, "-m", "benchmarks.ranks", *arguments, "--worker", f"{folder}:{out}"],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stderr=subprocess.PIPE,
        )
        for out in outs
    ]
    for process in started:
        _, errors = process.communicate()
        if process.returncode != 0:
            raise RuntimeError(errors.decode()[-2000:])
    seconds: list[float] = [json.loads(out.with_suffix(".json").read_text()) for out in outs]
    return sum(seconds) / processes


def main(options: Options) -> None:
    """Measure, or be one of the measured processes."""
    if options.worker is not None:
        folder, out = map(Path, options.worker.split(":"))
        work(folder, out, options)
        return
    print_settings(**{name: value for name, value in asdict(options).items() if name != "worker"})
    ratios, figures = [], []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        small_dataset(folder, options.images)
        for number in range(options.rounds):
            alone = seconds_a_step(folder, f"alone-{number}", 1, 1, options)
            apart = seconds_a_step(folder, f"apart-{number}", 2, 1, options)
            together = seconds_a_step(folder, f"ranks-{number}", 1, 2, options)
            possible, reached = 2 * alone / apart, alone / together
            print(
                f"one process {alone:.3f} s a step; two apart {apart:.3f} s, {possible:.2f} times as fast; "
                f"two ranks {together:.3f} s, {reached:.2f} times",
                flush=True,
            )
            ratios.append(reached / possible)
            figures.append({"alone": alone, "apart": apart, "ranks": together})
    print(json.dumps({"ratio": sorted(ratios)[len(ratios) // 2], "ratios": ratios, "seconds": figures}))


if __name__ == "__main__":
    main(tyro.cli(Options))
