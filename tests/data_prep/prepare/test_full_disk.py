"""Prepare on a disk that is full, for real: it says so, leaves nothing half written, and goes on when there is room."""

import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.data_prep.prepare.test_prepare import contents

REPOSITORY = Path(__file__).parents[3]
SHARD_BYTES = 20_000

# On a disk of `room` kB: try, keep a copy of what there is, make room, try again.
TRY_TWICE = """
mount -t tmpfs -o size={room}k tmpfs {disk} || exit 77
{prepare} 2> {disk}.message; status=$?
cp -r {disk} {disk}.left
mount -o remount,size=100m {disk}
{prepare} && cp -r {disk} {disk}.completed
exit $status
"""

Prepare = Callable[[Path], list[str]]


@pytest.fixture
def prepare(toy_original: Path) -> Prepare:
    """The words of a command that prepares the toy world into a folder."""
    sources = [f"--source=coco=coco:{toy_original}/coco", f"--source=vg=vg:{toy_original}/visual_genome"]
    options = ["--max-rejected=0.1", f"--shard-bytes={SHARD_BYTES}"]
    command = [sys.executable, "-m", "pipelines.cli", "data", "prepare", *sources, *options]
    return lambda out: [*command, f"--out={out}"]


@pytest.fixture
def whole(tmp_path: Path, prepare: Prepare) -> dict[str, bytes]:
    """What comes of it where there is room."""
    subprocess.run(prepare(tmp_path / "whole"), check=True, capture_output=True, cwd=REPOSITORY)
    return contents(tmp_path / "whole")


def check_left(left: Path, whole: dict[str, bytes]) -> None:
    """There is no dataset yet, nothing half written, and each file that has its final name is whole."""
    names = [path.relative_to(left).as_posix() for path in left.rglob("*") if path.is_file()]
    assert not [name for name in names if name.endswith(".partial")]
    assert "manifest.json" not in names
    final = {name: (left / name).read_bytes() for name in names if not name.startswith((".prepare/", "run.json"))}
    assert final == {name: whole[name] for name in final}


@pytest.mark.parametrize("share", [0.02, 0.6, 0.97])
def test_a_disk_that_fills_up(share: float, tmp_path: Path, prepare: Prepare, whole: dict[str, bytes]) -> None:
    """While the plan is written, the shards, the index."""
    disk = tmp_path / "disk"
    disk.mkdir()
    room = round(share * sum(map(len, whole.values())) / 1024)
    script = TRY_TWICE.format(room=room, disk=disk, prepare=" ".join(prepare(disk / "data")))
    if not shutil.which("unshare") or subprocess.run(["unshare", "-rm", "true"], check=False).returncode:
        pytest.skip("this machine lets nobody mount a disk of their own")
    done = subprocess.run(["unshare", "-rm", "sh", "-c", script], check=False, capture_output=True, cwd=REPOSITORY)
    if done.returncode == 77:
        pytest.skip("this machine lets nobody mount a disk of their own")
    assert done.returncode == 1, done.stderr
    message = (tmp_path / "disk.message").read_text().splitlines()[-1]
    assert re.fullmatch(
        rf"maskx: {disk}/data/\S+: cannot be written \(No space left on device\); make room .*again", message
    )
    check_left(tmp_path / "disk.left/data", whole)
    assert contents(tmp_path / "disk.completed/data") == whole


@pytest.mark.slow
def test_a_limit_on_the_size_of_files(tmp_path: Path, prepare: Prepare, whole: dict[str, bytes]) -> None:
    """As a quota does, for machines where nobody may mount anything; here two processes write."""
    command = [*prepare(tmp_path / "data"), "--workers=2"]
    limit = (SHARD_BYTES // 2, resource.RLIM_INFINITY)
    failed = subprocess.run(
        command,
        check=False,
        capture_output=True,
        cwd=REPOSITORY,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit),
    )
    assert failed.returncode == 1
    message = failed.stderr.splitlines()[-1]
    assert "Traceback" not in failed.stderr, failed.stderr
    assert re.search(rf"^maskx: .*{tmp_path}/data/\S+: cannot be written \(File too large\); make room", message)
    check_left(tmp_path / "data", whole)
    subprocess.run(command, check=True, capture_output=True, cwd=REPOSITORY)
    assert contents(tmp_path / "data") == whole
