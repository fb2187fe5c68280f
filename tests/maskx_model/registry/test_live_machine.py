"""What a machine says of itself: each figure that a GPU does not give is left out, and no other."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest

from maskx_model.registry.live_machine import Machine

OF_THE_MACHINE = {
    "system/cpu_utilization_percentage",
    "system/system_memory_usage_megabytes",
    "system/system_memory_usage_percentage",
}
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "nvmlInit": lambda: None,
    "nvmlDeviceGetCount": lambda: 2,
    "nvmlDeviceGetHandleByIndex": lambda number: number,
    "nvmlDeviceGetMemoryInfo": lambda _: SimpleNamespace(used=2e9, total=8e9),
    "nvmlDeviceGetUtilizationRates": lambda _: SimpleNamespace(gpu=40),
    "nvmlDeviceGetPowerUsage": lambda _: 300_000,
}
"""What NVIDIA's driver answers on a machine with two GPUs."""


def refuse(*_: object) -> Any:
    """What NVML does of a GPU that is split (MIG) or lost."""
    raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets NVML's functions to those of two GPUs, with changes."""

    def answer(**changes: Callable[..., Any]) -> None:
        for name, function in {**FUNCTIONS, **changes}.items():
            monkeypatch.setattr(pynvml, name, function)

    return answer


def test_gpus_have_figures_by_their_numbers(driver: Callable[..., None]) -> None:
    driver()
    figures = Machine().figures()
    of_gpus = {name: value for name, value in figures.items() if name not in OF_THE_MACHINE}
    assert of_gpus == {
        f"system/gpu_{number}_{name}": value
        for number in range(2)
        for name, value in {
            "utilization_percentage": 40.0,
            "memory_usage_megabytes": 2000.0,
            "memory_usage_percentage": 25.0,
            "power_usage_watts": 300.0,
        }.items()
    }


@pytest.mark.parametrize(
    ("function", "missing"),
    [
        ("nvmlDeviceGetUtilizationRates", {"utilization_percentage"}),
        ("nvmlDeviceGetMemoryInfo", {"memory_usage_megabytes", "memory_usage_percentage"}),
        ("nvmlDeviceGetPowerUsage", {"power_usage_watts"}),
    ],
)
def test_a_figure_that_a_gpu_does_not_give_is_left_out(
    driver: Callable[..., None], function: str, missing: set[str]
) -> None:
    driver()
    machine = Machine()
    before = set(machine.figures())
    driver(**{function: refuse})
    assert before - set(machine.figures()) == {f"system/gpu_{number}_{name}" for number in range(2) for name in missing}


def test_a_gpu_that_cannot_be_opened_is_left_out_and_the_other_keeps_its_number(driver: Callable[..., None]) -> None:
    driver(nvmlDeviceGetHandleByIndex=lambda number: refuse() if number == 0 else number)
    gpus = {name.removeprefix("system/")[:5] for name in set(Machine().figures()) - OF_THE_MACHINE}
    assert gpus == {"gpu_1"}


@pytest.mark.parametrize("function", ["nvmlInit", "nvmlDeviceGetCount"])
def test_a_machine_whose_driver_does_not_answer_has_its_cpu_and_memory(
    driver: Callable[..., None], function: str
) -> None:
    driver(**{function: refuse})
    assert set(Machine().figures()) == OF_THE_MACHINE
