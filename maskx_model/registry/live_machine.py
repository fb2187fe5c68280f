"""What the machine does while a training runs, under the names that MLflow's page of system metrics has."""

from collections.abc import Callable
from typing import Any

MEGABYTE = 1e6


class Machine:
    """The whole machine's CPU and memory, and each GPU where there is one."""

    def __init__(self) -> None:
        import psutil

        self._psutil = psutil
        self._gpus = _gpus()
        psutil.cpu_percent()  # the first call only begins to measure

    def figures(self) -> dict[str, float]:
        """CPU in percent since the last call, memory in use in MB, GPUs in percent, MB and watts.

        A figure that a GPU does not give is left out.
        """
        memory = self._psutil.virtual_memory()
        figures = {
            "cpu_utilization_percentage": float(self._psutil.cpu_percent()),
            "system_memory_usage_megabytes": memory.used / MEGABYTE,
            "system_memory_usage_percentage": float(memory.percent),
        }
        for number, gpu in self._gpus.items():
            figures |= {f"gpu_{number}_{name}": value for name, value in _figures_of(gpu).items()}
        return {f"system/{name}": value for name, value in figures.items()}


def _gpus() -> dict[int, Any]:
    """NVIDIA's handles of this machine's GPUs by their numbers; none without its driver."""
    import pynvml

    try:
        pynvml.nvmlInit()
        count = pynvml.nvmlDeviceGetCount()
    except pynvml.NVMLError:
        return {}
    handles = {number: _answer(pynvml.nvmlDeviceGetHandleByIndex, number) for number in range(count)}
    return {number: handle for number, handle in handles.items() if handle is not None}


def _figures_of(gpu: Any) -> dict[str, float]:
    import pynvml

    figures = {}
    if (rates := _answer(pynvml.nvmlDeviceGetUtilizationRates, gpu)) is not None:
        figures["utilization_percentage"] = float(rates.gpu)
    if (memory := _answer(pynvml.nvmlDeviceGetMemoryInfo, gpu)) is not None:
        figures["memory_usage_megabytes"] = memory.used / MEGABYTE
        figures["memory_usage_percentage"] = 100 * memory.used / memory.total
    if (milliwatts := _answer(pynvml.nvmlDeviceGetPowerUsage, gpu)) is not None:
        figures["power_usage_watts"] = milliwatts / 1000
    return figures


def _answer(question: Callable[[Any], Any], about: Any) -> Any:
    """NVML's answer; None where it has none. A GPU that MIG splits does not say how busy it is, some measure no power,
    and one that is lost says nothing."""
    import pynvml

    try:
        return question(about)
    except pynvml.NVMLError:
        return None
