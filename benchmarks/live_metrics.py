"""A training that MLflow follows against one that nobody follows: steps a second, the server up, and the server killed.

The steps are those of a small convolutional network on one thread; every `log_every` steps a line of numbers is handed
on. The ways take turns. At the end the server is started again and asked for every point.
"""

import json
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import torch
import tyro
from torch import nn

from benchmarks.mlflow_server import MlflowServer
from benchmarks.settings import print_settings
from maskx_model.registry.live_run import LiveRun
from maskx_model.registry.live_sender import SpoolSender
from maskx_model.registry.live_spool import LiveDescription, Spool
from maskx_model.registry.mlflow_run import client_of
from maskx_model.registry.run_contents import DatasetReference

WAYS = ("nobody", "server up", "server down")
LOSSES = 6
"""Numbers of a line beside the machine's, as stage 1 has them."""


@dataclass(frozen=True)
class Options:
    """`steps` of each training, on batches of `images` of `size` pixels; `rounds` of all ways."""

    steps: int = 2000
    log_every: int = 20
    images: int = 4
    size: int = 48
    rounds: int = 5


class Sink(Protocol):
    """Takes the numbers after a step."""

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Returns at once."""


def steps_per_second(options: Options, sink: Sink | None) -> float:
    """Train; the first tenth of the steps is not counted."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 32, 3), nn.ReLU(), nn.Conv2d(32, 32, 3), nn.ReLU(), nn.Conv2d(32, 8, 3))
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-3)
    images = torch.randn(options.images, 3, options.size, options.size)
    uncounted = options.steps // 10
    began = time.perf_counter()
    for step in range(1, options.steps + 1):
        optimizer.zero_grad()
        loss = net(images).square().mean()
        loss.backward()
        optimizer.step()
        if sink is not None and step % options.log_every == 0:
            sink.write(step, {f"loss_{number}": loss.item() for number in range(LOSSES)})
        if step == uncounted:
            began = time.perf_counter()
    return (options.steps - uncounted) / (time.perf_counter() - began)


def followed(options: Options, folder: Path, tracking_uri: str) -> tuple[float, float, Spool]:
    """Steps a second of a training that is followed, the seconds that its end waits, and its spool."""
    dataset = DatasetReference("data", "0" * 64, ("training",), "{}")
    name = f"{folder.parent.name}/{folder.name}"
    spool = Spool(
        folder, LiveDescription(name, str(folder), str(folder.parent), tracking_uri, "live", None, {}, dataset)
    )
    run = LiveRun(spool)
    speed = steps_per_second(options, run)
    ended = time.perf_counter()
    run.end("FINISHED")
    return speed, time.perf_counter() - ended, spool


def is_complete(options: Options, spool: Spool) -> bool:
    """Whether the server has every point once, when it has been sent what still waits."""
    run_id = SpoolSender(spool).send_all()
    points = client_of(spool.description.tracking_uri).get_metric_history(run_id, "loss_0")
    expected = list(range(options.log_every, options.steps + 1, options.log_every))
    return sorted(point.step for point in points) == expected


def main(options: Options) -> None:
    """Measure, compare, print."""
    torch.set_num_threads(1)
    print_settings(("mlflow", "torch"), **vars(options))
    speeds: dict[str, list[float]] = {way: [] for way in WAYS}
    waits: dict[str, list[float]] = {way: [] for way in WAYS[1:]}
    spools = []
    with TemporaryDirectory() as place:
        server = MlflowServer(Path(place))
        try:
            for number in range(options.rounds):
                server.start()
                speeds["nobody"].append(steps_per_second(options, None))
                for way in WAYS[1:]:
                    speed, wait, spool = followed(options, Path(place, str(number), way.replace(" ", "-")), server.uri)
                    speeds[way].append(speed)
                    waits[way].append(wait)
                    spools.append(spool)
                    server.kill()
            server.start()
            complete = all(is_complete(options, spool) for spool in spools)
        finally:
            server.kill()
    ratios = {
        way: statistics.median(own / alone for own, alone in zip(speeds[way], speeds["nobody"], strict=True))
        for way in WAYS[1:]
    }
    print(f"{'':>12} {'steps/s':>10} {'of nobody':>10} {'s at the end':>13}")
    for way in WAYS:
        rest = f"{ratios[way]:10.3f} {max(waits[way]):13.1f}" if way in ratios else ""
        print(f"{way:>12} {statistics.median(speeds[way]):10.1f} {rest}")
    figures = {"ratio": ratios["server up"], "ratio_down": ratios["server down"], "identical": complete}
    print(json.dumps({"steps_per_second": {way: statistics.median(speeds[way]) for way in WAYS}, **figures}))


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
