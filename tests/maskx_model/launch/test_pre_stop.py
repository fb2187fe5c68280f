"""A step's pod that is taken away: its Python saves before the container ends."""

import subprocess
import sys
import time
from pathlib import Path

from maskx_model.launch.pre_stop import end_python

SAVES = """
import pathlib, signal, subprocess, sys, time
folder = pathlib.Path(sys.argv[1])

def save(*_):
    time.sleep(0.5)
    rank.kill()
    (folder / "saved").touch()
    sys.exit(143)

signal.signal(signal.SIGTERM, save)
rank = subprocess.Popen([sys.executable, "-c", RANK, str(folder)])
rank.wait()
"""
RANK = """
import pathlib, signal, sys, time
folder = pathlib.Path(sys.argv[1])
signal.signal(signal.SIGTERM, lambda *_: (folder / "told twice").touch())
(folder / "trains").touch()
time.sleep(60)
"""


def test_the_outermost_python_is_told_and_waited_for(tmp_path: Path) -> None:
    """As in a step's container, a program stands above it that does not pass signals on."""
    script = tmp_path / "step.py"
    script.write_text(SAVES.replace("RANK,", f"{RANK!r},"))
    with subprocess.Popen(["sh", "-c", f"{sys.executable} {script} {tmp_path}; exit 3"]) as program:
        while not (tmp_path / "trains").exists():
            time.sleep(0.02)
        end_python(program.pid)
        assert (tmp_path / "saved").exists()
        assert not (tmp_path / "told twice").exists()
        assert program.wait() == 3
