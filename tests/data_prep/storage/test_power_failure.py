"""What is published survives a power failure: bytes reach the disk before the name that promises them."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]
WRITE_FILE = "from data_prep.storage.storage import write; write('new/deep/file', b'12345')"
WRITE_FOLDER = """
from data_prep.storage.storage import create_folder
with create_folder('new/deep/folder', 'marker') as partial:
    (partial / 'inner').mkdir()
    (partial / 'inner/tensors').write_bytes(b'12345')
    (partial / 'marker').write_bytes(b'')
"""


def calls_of(program: str, folder: Path) -> list[tuple[str, str]]:
    """The fsyncs and renames that a process really makes, in order: (`fsync`, path) and (`rename`, new path), below
    `folder` and without the number in a partial name."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed: what reaches the disk, and in which order, cannot be watched")
    command = [strace, "-f", "-y", "-e", "trace=fsync,rename,renameat,renameat2", "-o", str(folder / "calls")]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    work = folder / "work"
    work.mkdir()
    subprocess.run([*command, sys.executable, "-c", program], cwd=work, env=environment, check=True)
    found = []
    for line in (folder / "calls").read_text().splitlines():
        synced, renamed = re.search(r"fsync\(\d+<(.+?)>", line), re.search(r'rename\w*\(.*"([^"]+)"[^"]*\) = 0', line)
        if synced:
            found.append(("fsync", os.path.relpath(synced[1], work)))
        elif renamed:
            found.append(("rename", os.path.relpath(work / renamed[1], work)))
    return [(call, re.sub(r"\.(\w+)\.\d+\.partial", r"\1 (partial)", path)) for call, path in found]


def test_a_file_is_on_disk_before_it_takes_its_name_and_the_name_after(tmp_path: Path) -> None:
    calls = calls_of(WRITE_FILE, tmp_path)
    assert calls[-3:] == [
        ("fsync", "new/deep/file (partial)"),
        ("rename", "new/deep/file"),
        ("fsync", "new/deep"),
    ]


def test_a_folder_and_all_in_it_are_on_disk_before_it_takes_its_name(tmp_path: Path) -> None:
    calls = calls_of(WRITE_FOLDER, tmp_path)
    renamed = calls.index(("rename", "new/deep/folder"))
    partial = "new/deep/folder (partial)"
    within = {partial, f"{partial}/marker", f"{partial}/inner", f"{partial}/inner/tensors"}
    assert within <= {path for call, path in calls[:renamed] if call == "fsync"}
    assert calls[renamed + 1 :] == [("fsync", "new/deep")]


@pytest.mark.parametrize("program", [WRITE_FILE, WRITE_FOLDER])
def test_folders_made_on_the_way_are_on_disk_too(program: str, tmp_path: Path) -> None:
    """A file in a folder whose own name is lost is lost."""
    assert {".", "new"} <= {path for call, path in calls_of(program, tmp_path) if call == "fsync"}
