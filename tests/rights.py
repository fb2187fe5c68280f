"""A process without root's privilege to read and write everything."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.readme import ROOT


def run_without_privilege(program: str, folder: Path) -> str:
    """What the Python program prints that runs in the folder; a file's mode holds for it even if it runs as root."""
    setpriv = shutil.which("setpriv")
    if os.geteuid() == 0 and setpriv is None:
        pytest.skip("setpriv is not installed: root may read and write everything")
    drop = [str(setpriv), "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [*drop, sys.executable, "-c", program]
    return subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, text=True).stdout
