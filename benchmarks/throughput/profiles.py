"""Profiles of a step: where a model's time goes."""

from collections.abc import Callable
from time import perf_counter
from typing import Any

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile, record_function

PARTS = ("backbone", "rpn", "head", "box_roi_pool", "box_head", "cls_score", "features")
PART = "part: "
ROWS = 12


def show_profile(model: nn.Module, step: Callable[[], object], steps: int, on_gpu: bool) -> None:
    """Runs `steps` steps, the last ones of this model, and prints in ms a step: for each part of the model the
    CPU's and the GPU's time of its forward, and the operators that took most."""
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    _name_parts(model)
    start = perf_counter()
    with profile(activities=activities) as profiled:
        for _ in range(steps):
            step()
        if on_gpu:
            torch.cuda.synchronize()
    wall = 1000 * (perf_counter() - start) / steps
    rows = list(profiled.key_averages())
    host = [row for row in rows if row.device_type.name == "CPU"]
    kernels = [row for row in rows if row.device_type.name != "CPU" and not row.key.startswith(PART)]
    busy = sum(row.self_device_time_total for row in kernels) / 1000 / steps
    print(f"under the profiler {wall:.1f} ms a step, of which the GPU works {busy:.1f} ms")
    parts = [(row.key, row.cpu_time_total, row.count) for row in host if row.key.startswith(PART)]
    operators = [(row.key, row.self_cpu_time_total, row.count) for row in host if not row.key.startswith(PART)]
    on_gpu_alone = [(row.key, row.self_device_time_total, row.count) for row in kernels]
    for where, found in (("CPU", parts), ("CPU", operators), ("GPU", on_gpu_alone)):
        for name, time, count in sorted(found, key=lambda each: -each[1])[:ROWS]:
            print(f"  {where:<10}{name[:54]:<54} {time / 1000 / steps:9.2f} ms in {count / steps:8.1f} calls")


class _Named(nn.Module):
    """A part whose forward shows up by name. No hook on the part itself: that would have it compiled again."""

    def __init__(self, name: str, part: nn.Module) -> None:
        super().__init__()
        self.name, self.part = name, part

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("part"), name)

    def forward(self, *inputs: Any) -> Any:
        with record_function(PART + self.name):
            return self.part(*inputs)


def _name_parts(model: nn.Module) -> None:
    for name, module in reversed(list(model.named_modules())):  # what is inside a part before the part
        parent, _, own = name.rpartition(".")
        if own in PARTS:
            setattr(model.get_submodule(parent), own, _Named(name, module))
