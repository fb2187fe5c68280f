"""Images a second of training and inference, against torchvision's Mask R-CNN as its reference scripts run it.

    python -m benchmarks.throughput

Made for a GPU, and runs without: ours in float32, in bfloat16, and in bfloat16 with a compiled backbone, always in
channels-last memory; torchvision's in float32 and in bfloat16 (its scripts' --amp). Both have the same random weights,
planted as in `train_step` and `inference` so that a quarter of the RoIs are positive and 100 objects are found.
Training is end to end with T and without the MLP. The ways run one after the other.
"""

import gc
import json
import time
from collections.abc import Callable
from typing import NamedTuple

import torch
import tyro
from torch import nn

from benchmarks import inference, train_step
from benchmarks.settings import print_settings
from benchmarks.throughput.inference import inference_step
from benchmarks.throughput.options import Options, all_ways
from benchmarks.throughput.profiles import show_profile
from benchmarks.throughput.training import training_step
from benchmarks.way import Way

PROFILED = 4
"""Steps that a profile is of."""


class Speed(NamedTuple):
    """Images a second, and MB on the GPU at most."""

    images_per_second: float
    megabytes: float


Prepare = Callable[[Way, Options], tuple[nn.Module, Callable[[], object]]]


def speed(prepare: Prepare, way: Way, options: Options, images: int, profile: bool) -> Speed:
    """Measure a way of training or inference with so many images in each step."""
    gc.collect()
    torch._dynamo.reset()
    on_gpu = options.device != "cpu"
    if on_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    model, step = prepare(way, options)
    start = time.perf_counter()
    step()
    first = time.perf_counter() - start
    for _ in range(options.warm_up):
        step()
    _wait(on_gpu)
    start = time.perf_counter()
    for _ in range(options.steps):
        step()
    _wait(on_gpu)
    taken = time.perf_counter() - start
    held = torch.cuda.max_memory_allocated() / 2**20 if on_gpu else 0.0
    rate = images * options.steps / taken
    print(f"{way!s:<48} {rate:9.2f} images/s {held:9.0f} MB, first after {first:.1f} s", flush=True)
    if profile:
        show_profile(model, step, PROFILED, on_gpu)
    return Speed(rate, held)


def _wait(on_gpu: bool) -> None:
    if on_gpu:
        torch.cuda.synchronize()


def ratios(found: dict[Way, Speed]) -> dict[str, float]:
    """Ours, each way, against the faster of torchvision's two; memory against that of the same one."""
    result = {}
    for classes in sorted({way.classes for way in found}):
        of_classes = {way: each for way, each in found.items() if way.classes == classes}
        theirs = max(each for way, each in of_classes.items() if way.model == "torchvision")
        for way, each in of_classes.items():
            if way.model == "ours":
                result[way.name] = round(each.images_per_second / theirs.images_per_second, 2)
                result[f"{way.name}_memory"] = round(each.megabytes / max(theirs.megabytes, 1), 3)
    return result


def identical(options: Options) -> dict[str, bool]:
    """Whether losses and detections are torchvision's, in float32 (without TF32) on this device."""
    torch.backends.cudnn.allow_tf32 = False
    few = max(options.classes[0], inference.FOUND + 1)
    shape = train_step.Options(classes=(few, few), device=options.device)
    small = inference.Options(60, 80, 96, proposals=200, detections=20, classes=(few, few + 16), device=options.device)
    found = {"losses": train_step.same_losses(shape), "detections": inference.all_the_same(small)[0]}
    return {**{f"identical_{what}": each for what, each in found.items()}, "identical": all(found.values())}


def main(options: Options) -> None:
    """Measure, compare, print."""
    name = torch.cuda.get_device_name() if options.device != "cpu" else "CPU"
    print_settings(("torch", "torchvision"), **vars(options), runs_on=name, threads=torch.get_num_threads())
    ways, report = all_ways(options), {}
    for kind, prepare, images in (("training", training_step, options.images), ("inference", inference_step, 1)):
        print(f"{kind}, {images} images in a step")
        found = {way: speed(prepare, way, options, images, options.profile and way == ways[-1]) for way in ways}
        report[kind] = ratios(found)
    print(json.dumps({"ratio": report["training"][ways[-1].name], **report, **identical(options)}))


if __name__ == "__main__":
    main(tyro.cli(Options))
