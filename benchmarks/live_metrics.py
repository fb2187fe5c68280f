"""A training that MLflow follows against one that nobody follows: steps a second, the server up, and the server killed.

Beside wall time stands the CPU time of the thread that trains, which other programs on the machine do not change. The
steps are those of a small convolutional network on one thread; every `log_every` steps a line of numbers is handed
on. The ways take turns. At the end the server is started again and asked for every point.
"""

import json
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, Protocol

import torch
import tyro
from torch import nn

from benchmarks.mlflow_server import MlflowServer
from benchmarks.settings import print_settings
from maskx_model.registry.live_run import LiveRun
from maskx_model.registry.live_sender import SpoolSender, little_patience
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


class Speed(NamedTuple):
    """Steps a second, and CPU milliseconds of a step in the thread that trains."""

    steps: float
    cpu: float


class Sink(Protocol):
    """Takes the numbers after a step."""

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Returns at once."""


def speed_of(options: Options, sink: Sink | None) -> Speed:
    """Train; the first tenth of the steps is not counted."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 32, 3), nn.ReLU(), nn.Conv2d(32, 32, 3), nn.ReLU(), nn.Conv2d(32, 8, 3))
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-3)
    images = torch.randn(options.images, 3, options.size, options.size)
    uncounted = options.steps // 10
    began, cpu = time.perf_counter(), time.thread_time()
    for step in range(1, options.steps + 1):
        optimizer.zero_grad()
        loss = net(images).square().mean()
        loss.backward()
        optimizer.step()
        if sink is not None and step % options.log_every == 0:
            sink.write(step, {f"loss_{number}": loss.item() for number in range(LOSSES)})
        if step == uncounted:
            began, cpu = time.perf_counter(), time.thread_time()
    steps = options.steps - uncounted
    return Speed(steps / (time.perf_counter() - began), 1000 * (time.thread_time() - cpu) / steps)


def followed(options: Options, folder: Path, tracking_uri: str) -> tuple[Speed, float, Spool]:
    """The speed of a training that is followed, the seconds that its end waits, and its spool."""
    dataset = DatasetReference("data", "0" * 64, ("training",), "{}")
    name = f"{folder.parent.name}/{folder.name}"
    spool = Spool(
        folder, LiveDescription(name, str(folder), str(folder.parent), tracking_uri, "live", None, {}, dataset)
    )
    with little_patience():
        run = LiveRun(spool, spool.description.tracking_uri)
        speed = speed_of(options, run)
        ended = time.perf_counter()
        run.end("FINISHED")
    return speed, time.perf_counter() - ended, spool


def is_complete(options: Options, spool: Spool) -> bool:
    """Whether the server has every point once, when it has been sent what still waits."""
    run_id = SpoolSender(spool, spool.description.tracking_uri).send_all()
    points = client_of(spool.description.tracking_uri).get_metric_history(run_id, "loss_0")
    expected = list(range(options.log_every, options.steps + 1, options.log_every))
    return sorted(point.step for point in points) == expected


def main(options: Options) -> None:
    """Measure, compare, print."""
    torch.set_num_threads(1)
    print_settings(("mlflow", "torch"), **vars(options))
    speeds: dict[str, list[Speed]] = {way: [] for way in WAYS}
    waits: dict[str, list[float]] = {way: [] for way in WAYS[1:]}
    spools = []
    with TemporaryDirectory() as place:
        server = MlflowServer(Path(place))
        try:
            for number in range(options.rounds):
                server.start()
                speeds["nobody"].append(speed_of(options, None))
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
    pairs = {way: list(zip(speeds[way], speeds["nobody"], strict=True)) for way in WAYS}
    ratios = {way: statistics.median(own.steps / alone.steps for own, alone in pairs[way]) for way in WAYS}
    cpu = {way: statistics.median(alone.cpu / own.cpu for own, alone in pairs[way]) for way in WAYS}
    print(f"{'':>12} {'steps/s':>10} {'of nobody':>10} {'CPU ms':>10} {'of nobody':>10} {'s at the end':>13}")
    for way in WAYS:
        middle = Speed(*(statistics.median(each) for each in zip(*speeds[way], strict=True)))
        end = f"{max(waits[way]):13.1f}" if way in waits else ""
        print(f"{way:>12} {middle.steps:10.1f} {ratios[way]:10.3f} {middle.cpu:10.2f} {cpu[way]:10.3f} {end}")
    figures = {"ratio": ratios["server up"], "ratio_down": ratios["server down"]}
    figures |= {"cpu_ratio": cpu["server up"], "cpu_ratio_down": cpu["server down"]}
    print(json.dumps({**figures, "identical": complete}))


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
