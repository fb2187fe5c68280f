"""What every benchmark says first: on what, and with which versions, it ran."""

import os
import platform
from importlib.metadata import version

PACKAGES = ("torch", "torchvision", "apache-beam", "numpy")


def print_settings(**settings: object) -> None:
    """Print the machine's size, the versions that matter, and the benchmark's own settings, a line each."""
    print(f"machine: {platform.machine()}, {os.cpu_count()} cores; Python {platform.python_version()}")
    print(
        "versions: " + ", ".join(f"{name} {version(name)}" for name in ("torch", "torchvision", "apache-beam", "numpy"))
    )
    for name, value in settings.items():
        print(f"{name}: {value}")
