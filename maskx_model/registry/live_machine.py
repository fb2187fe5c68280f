"""What the machine does while a training runs, under the names that MLflow's page of system metrics has."""

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
        """CPU in percent since the last call, memory in use in MB, GPUs in percent, MB and watts."""
        memory = self._psutil.virtual_memory()
        figures = {
            "cpu_utilization_percentage": float(self._psutil.cpu_percent()),
            "system_memory_usage_megabytes": memory.used / MEGABYTE,
            "system_memory_usage_percentage": float(memory.percent),
        }
        for number, gpu in enumerate(self._gpus):
            figures |= {f"gpu_{number}_{name}": value for name, value in _figures_of(gpu).items()}
        return {f"system/{name}": value for name, value in figures.items()}


def _gpus() -> list[Any]:
    """NVIDIA's handles of this machine's GPUs; none without its driver."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return []
    return [pynvml.nvmlDeviceGetHandleByIndex(number) for number in range(pynvml.nvmlDeviceGetCount())]


def _figures_of(gpu: Any) -> dict[str, float]:
    import pynvml

    memory = pynvml.nvmlDeviceGetMemoryInfo(gpu)
    figures = {
        "utilization_percentage": float(pynvml.nvmlDeviceGetUtilizationRates(gpu).gpu),
        "memory_usage_megabytes": memory.used / MEGABYTE,
        "memory_usage_percentage": 100 * memory.used / memory.total,
    }
    try:
        figures["power_usage_watts"] = pynvml.nvmlDeviceGetPowerUsage(gpu) / 1000
    except pynvml.NVMLError:  # some GPUs do not measure it
        return figures
    return figures
