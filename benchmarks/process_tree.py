"""What a command costs with all its processes: wall time, CPU-seconds and anonymous memory, sampled from /proc."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

# Reading a large process's share of pages takes the kernel tens of milliseconds: done for one sample in `SHARES_EVERY`.
SAMPLE_S, SHARES_EVERY = 0.05, 20
_TICKS, _MB = os.sysconf("SC_CLK_TCK"), 1e6


@dataclass
class CommandCost:
    """Wall time and CPU-seconds of a command's process tree, and the peaks of its memory in MB.

    `anonymous_mb` sums the processes' resident anonymous pages; pages that a fork shares count in each process there
    and once in `shares_mb`, which is sampled once a second.
    """

    wall_s: float = 0.0
    cpu_s: float = 0.0
    anonymous_mb: float = 0.0
    shares_mb: float = 0.0
    processes: int = 0
    _cpu: dict[int, float] = field(default_factory=dict, repr=False)

    def row(self) -> dict[str, float]:
        """The figures, rounded, by name."""
        return {name: round(value, 2) for name, value in vars(self).items() if not name.startswith("_")}


def measured(command: list[str]) -> CommandCost:
    """Run a command to its end; raises RuntimeError if it fails. Its output goes to stderr."""
    cost, begun = CommandCost(), time.monotonic()
    process = subprocess.Popen(command, stdout=sys.stderr)
    samples = 0
    while (waited := os.wait4(process.pid, os.WNOHANG))[0] == 0:
        _sample(cost, process.pid, with_shares=samples % SHARES_EVERY == 0)
        samples += 1
        time.sleep(SAMPLE_S)
    cost.wall_s = time.monotonic() - begun
    process.returncode = os.waitstatus_to_exitcode(waited[1])
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)}: ended with {process.returncode}")
    cost.cpu_s = max(waited[2].ru_utime + waited[2].ru_stime, sum(cost._cpu.values()))
    return cost


def _sample(cost: CommandCost, root: int, with_shares: bool) -> None:
    tree = _tree(root)
    cost.processes = max(cost.processes, len(tree))
    cost.anonymous_mb = max(cost.anonymous_mb, sum(_kilobytes(pid, "status", "RssAnon:") for pid in tree) * 1024 / _MB)
    if with_shares:
        shares = sum(_kilobytes(pid, "smaps_rollup", "Pss_Anon:") for pid in tree)
        cost.shares_mb = max(cost.shares_mb, shares * 1024 / _MB)
    for pid in tree:
        if stat := _read(pid, "stat"):
            user, system = stat.rpartition(")")[2].split()[11:13]
            cost._cpu[pid] = (int(user) + int(system)) / _TICKS


def _tree(root: int) -> list[int]:
    """The process and all that descend from it."""
    tree = [root]
    for pid in tree:
        for task in _tasks(pid):
            tree += map(int, _read(pid, f"task/{task}/children").split())
    return tree


def _tasks(pid: int) -> list[str]:
    try:
        return [path.name for path in Path(f"/proc/{pid}/task").iterdir()]
    except OSError:
        return []


def _kilobytes(pid: int, file: str, name: str) -> int:
    lines = (line for line in _read(pid, file).splitlines() if line.startswith(name))
    return sum(int(line.split()[1]) for line in lines)


def _read(pid: int, file: str) -> str:
    """A file of the process, empty if it has ended meanwhile."""
    try:
        return Path(f"/proc/{pid}/{file}").read_text()
    except OSError:
        return ""
