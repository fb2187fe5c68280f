"""What every benchmark says first: on what, and with which versions, it ran."""

import os
import platform
from importlib.metadata import version

TRAINING = ("torch", "torchvision", "apache-beam", "numpy")
DATA = ("apache-beam", "msgspec", "numpy", "pyarrow", "pycocotools", "webdataset")


def print_settings(packages: tuple[str, ...] = TRAINING, **settings: object) -> None:
    """Print the machine's size, the versions that matter, and the benchmark's own settings, a line each."""
    print(f"machine: {platform.machine()}, {os.cpu_count()} cores; Python {platform.python_version()}")
    print("versions: " + ", ".join(f"{name} {version(name)}" for name in packages))
    for name, value in settings.items():
        print(f"{name}: {value}", flush=True)
