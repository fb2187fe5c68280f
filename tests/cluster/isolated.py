"""A program as a container runtime would start it: with processes, mounts and a file system of its own."""

import os
import shlex
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

ROOT = "/mnt/root"


def isolated(command: Sequence[str], mounts: Mapping[str, Path], privileges: Sequence[str] = ()) -> list[str]:
    """The command line that runs a command on a copy of this machine's file system, which is thrown away at the end.

    `mounts` are folders and files of this machine by the path at which the command finds them, `privileges` options of
    setpriv(1). The command is process 1 of its namespace: what it leaves running ends with it. Needs root.
    """
    script = [
        "set -e",
        "mount -t tmpfs tmpfs /mnt",
        f"mkdir /mnt/changes /mnt/work {ROOT}",
        f"mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/changes,workdir=/mnt/work {ROOT}",
        f"chmod a+x {ROOT}/root",  # this Python may lie there
        f"mount --rbind /dev {ROOT}/dev",
        f"mount -t proc proc {ROOT}/proc",
    ]
    for path, source in sorted(mounts.items()):
        target = shlex.quote(f"{ROOT}{Path(path).resolve()}")
        script += [
            f"mkdir -p {target}" if source.is_dir() else f"touch {target}",
            f"mount --bind {shlex.quote(str(source))} {target}",
        ]
    script.append(f'exec chroot {ROOT} setpriv {shlex.join(privileges)} env --chdir=/tmp "$@"')
    return ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", "\n".join(script), "sh", *command]


def end(process: "subprocess.Popen[bytes]", grace_seconds: float) -> None:
    """Send SIGTERM to the command, and SIGKILL to all that it started if that has not ended it in time."""
    if process.poll() is not None:
        return
    _send(process, signal.SIGTERM)
    try:
        process.wait(grace_seconds)
    except subprocess.TimeoutExpired:
        _send(process, signal.SIGKILL)


def _send(process: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
    """Send a signal to process 1 of the namespace, which is the one child of unshare."""
    with suppress(OSError):  # it has just ended
        for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
            os.kill(int(child), number)
