"""What a run came to: accuracies, times and where to find what it made."""

import resource
from pathlib import Path

import msgspec

from data_prep.storage.own_files import read_own, write_own
from data_prep.storage.storage import exists, write
from maskx_model.evaluation.ap_table import APs, ap_table


class Summary(msgspec.Struct, frozen=True):
    """`summary.json`. `ap` is mask AP on predicted boxes, `ap_gt_boxes` on the annotated ones; `seconds` by step and
    `cpu_seconds` (user and system, all processes) add up over the runs it took to finish."""

    ap: APs
    ap_gt_boxes: APs
    seconds: dict[str, float]
    cpu_seconds: float
    model_uri: str
    report: str


class Costs(msgspec.Struct):
    """Seconds of each step and CPU seconds of all, in `<out>/costs.json`; a run that resumes adds to them."""

    seconds: dict[str, float] = {}
    cpu_seconds: float = 0.0
    _path: str = ""
    _counted: float = 0.0

    @classmethod
    def of(cls, out: Path) -> "Costs":
        """The costs so far of the run in this folder."""
        path = str(out / "costs.json")
        costs = read_own(path, cls) if exists(path) else cls()
        costs._path = path
        return costs

    def add(self, step: str, seconds: float) -> None:
        """Count a step's wall seconds, and the CPU seconds since the last count."""
        self.seconds[step] = round(self.seconds.get(step, 0.0) + seconds, 2)
        used = _cpu_seconds()
        self.cpu_seconds = round(self.cpu_seconds + used - self._counted, 2)
        self._counted = used
        write(self._path, msgspec.json.encode({"seconds": self.seconds, "cpu_seconds": self.cpu_seconds}))


class _Metrics(msgspec.Struct):
    """The part of `metrics.json` that the summary repeats."""

    ap: APs
    ap_gt_boxes: APs


def write_summary(out: Path, root: str, model_uri: str) -> Summary:
    """Write `<out>/summary.json` from the evaluation below the run's root and the costs of the run in this folder."""
    metrics = read_own(f"{root}/evaluation/metrics.json", _Metrics)
    costs = Costs.of(out)
    summary = Summary(
        ap=metrics.ap,
        ap_gt_boxes=metrics.ap_gt_boxes,
        seconds=costs.seconds,
        cpu_seconds=costs.cpu_seconds,
        model_uri=model_uri,
        report=f"{root}/evaluation/report.html",
    )
    write_own(out / "summary.json", summary)
    return summary


def table(summary: Summary) -> str:
    """The summary for a terminal."""
    rows = {"on predicted boxes": summary.ap, "on annotated boxes": summary.ap_gt_boxes}
    lines = ap_table("mask AP (0.50:0.95), percent", rows)
    lines += ["", f"{'step':<34}{'seconds':>8}"]
    lines += [f"  {step:<32}{seconds:>8.0f}" for step, seconds in summary.seconds.items()]
    lines.append(f"  {'all':<32}{sum(summary.seconds.values()):>8.0f}   ({summary.cpu_seconds:.0f} CPU-seconds)")
    lines += ["", f"model   {summary.model_uri}", f"report  {summary.report}"]
    return "\n".join(lines)


def _cpu_seconds() -> float:
    """User and system time of this process and of its children that have ended."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
