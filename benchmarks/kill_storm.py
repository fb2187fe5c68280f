"""A training of two ranks, killed again and again at random moments, ends in the very weights of an undisturbed one.

    python -m benchmarks.kill_storm

Stage 1 of the toy preset on a small generated world. torchrun starts two ranks; SIGKILL goes to one of them or to all,
SIGTERM to torchrun, as a node that is reclaimed sends it. After each the same command starts again. Every step writes
its number to a file, so that the steps which were made and lost are known.
"""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import tyro

from benchmarks.settings import print_settings
from benchmarks.small_world import short_run, small_dataset
from maskx_model.training.metric_sink import Observers
from maskx_model.training.stages import train_detector


@dataclass(frozen=True)
class Options:
    """What is trained, and how often it is stopped. `longest`: seconds after the first step of a start until the
    signal comes, at most; one in ten comes while the ranks still start. `worker` is what a rank is called with."""

    sigkills: int = 20
    sigterms: int = 10
    ranks: int = 2
    steps: int = 400
    checkpoint_every: int = 10
    images_per_batch: int = 4
    images: int = 64
    longest: float = 4.0
    seed: int = 0
    worker: str | None = None


class StepFile:
    """A sink that writes each step's number to a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def begin(self, part: str) -> None:
        """Stage 1 has one part."""

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Adds a line."""
        with self.path.open("a") as file:
            file.write(f"{step} {values['loss']!r}\n")

    def close(self) -> None:
        """Each line is closed already."""


def work(folder: Path, out: Path, options: Options) -> None:
    """What a rank does."""
    run = short_run(options.steps, options.checkpoint_every, options.images_per_batch)
    sink = StepFile(out.with_suffix(".steps"))
    train_detector(str(folder / "dataset"), str(out), run, device="cpu", observers=Observers(sink))


def started(folder: Path, out: Path, options: Options) -> "subprocess.Popen[bytes]":
    """torchrun with its ranks, in a process group of its own."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={options.ranks}"]
    given = {name: value for name, value in asdict(options).items() if name != "worker"}
    arguments = [f"--{name.replace('_', '-')}={value}" for name, value in given.items()]
    with out.with_suffix(".log").open("ab") as log:
        return subprocess.Popen(
            [*launcher, "-m", "benchmarks.kill_storm", *arguments, "--worker", f"{folder}:{out}"],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def steps_of(out: Path) -> list[int]:
    """The numbers of the steps that were made, in the order they were made in."""
    file = out.with_suffix(".steps")
    return [int(line.split()[0]) for line in file.read_text().splitlines()] if file.exists() else []


def rank_processes(process: "subprocess.Popen[bytes]") -> list[int]:
    """The process numbers of torchrun's ranks."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(pid) for pid in children.read_text().split()] if children.exists() else []


def strike(process: "subprocess.Popen[bytes]", kind: signal.Signals, chance: random.Random) -> str:
    """Send the signal and wait until all ranks are gone; returns to whom it went."""
    ranks = rank_processes(process)
    if kind == signal.SIGKILL and ranks and chance.random() < 0.5:
        which = chance.randrange(len(ranks))
        os.kill(ranks[which], signal.SIGKILL)
        whom = f"rank {which}"
    elif kind == signal.SIGKILL:
        for pid in [process.pid, *ranks]:
            os.kill(pid, signal.SIGKILL)
        whom = "all"
    else:
        process.send_signal(kind)
        whom = "torchrun"
    process.wait()
    for pid in ranks:
        while Path(f"/proc/{pid}").exists():
            time.sleep(0.05)
    return whom


def storm(folder: Path, out: Path, options: Options) -> list[int]:
    """Train with interruptions to the end; returns the steps that each of them lost."""
    chance = random.Random(options.seed)
    kinds = [signal.SIGKILL] * options.sigkills + [signal.SIGTERM] * options.sigterms
    chance.shuffle(kinds)
    lost: list[int] = []
    for number, kind in enumerate(kinds, start=1):
        before = len(steps_of(out))
        process = started(folder, out, options)
        in_training = chance.random() >= 0.1
        while in_training and len(steps_of(out)) == before and process.poll() is None:
            time.sleep(0.05)
        time.sleep(chance.uniform(0, options.longest))
        if process.poll() is not None:
            print(f"{number}: the training ended before {kind.name}; give it more --steps", flush=True)
            break
        whom = strike(process, kind, chance)
        lost.append(lost_steps(out))
        reached = max(steps_of(out), default=0)
        print(f"{number}: {kind.name} to {whom} at step {reached}, {lost[-1]} steps lost", flush=True)
    code = started(folder, out, options).wait()
    if code != 0:
        raise RuntimeError(f"the training failed ({code}): {out.with_suffix('.log')}")
    return lost


def lost_steps(out: Path) -> int:
    """Steps made after the newest checkpoint."""
    saved = [int(path.name.removeprefix("step-")) for path in out.glob("checkpoint/step-*")]
    made = steps_of(out)
    return max(made[-1] - max(saved, default=0), 0) if made else 0


def main(options: Options) -> None:
    """Run the storm, or one rank of it."""
    if options.worker is not None:
        folder, out = map(Path, options.worker.split(":"))
        work(folder, out, options)
        return
    print_settings(**{name: value for name, value in asdict(options).items() if name != "worker"})
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        small_dataset(folder, options.images)
        code = started(folder, folder / "whole", options).wait()
        if code != 0:
            raise RuntimeError((folder / "whole.log").read_text()[-2000:])
        lost = storm(folder, folder / "storm", options)
        identical = all(
            (folder / "whole" / name).read_bytes() == (folder / "storm" / name).read_bytes()
            for name in ("model.safetensors", "metrics.jsonl")
        )
        made = len(steps_of(folder / "storm"))
    print(
        json.dumps(
            {
                "identical": identical,
                "interruptions": len(lost),
                "lost_steps": lost,
                "ratio": made / options.steps,
            }
        )
    )


if __name__ == "__main__":
    main(tyro.cli(Options))
