"""Metadata to merged records with masks: time and memory, beside the least possible work and a plain script.

    python -m benchmarks.metadata --fraction 1

- `parse_and_encode`: a loop that parses every object with msgspec and encodes every mask, and does nothing else.
- `records`, with one process and with two: plan, Beam graph, merged records written, without images' bytes.
- `straightforward`, with one process and with two: `benchmarks/straightforward.py`.

All runs follow one another on the same machine. The bars at full size, `records` with two processes: at most 2.0 times
the wall time of `parse_and_encode` (`two_processes_ratio`), and at most 900 MB (`shares_mb`). On a busy machine wall
times say little, CPU-seconds more.

`ratio` is the time of `records` to that of `parse_and_encode`, each with one process; `faster` and `memory_factor`
compare with the script at equal numbers of processes. `same_records` says whether all made the same records, by a hash
over them.
"""

import argparse
import hashlib
import os
import shutil
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from benchmarks.full_scale.files import FOLDER, FullScale, full_scale
from benchmarks.process_tree import CommandCost, measured
from benchmarks.settings import DATA, print_settings
from data_prep.format.records import decode_record, encode_record

RUNS = ("parse_and_encode", "records-1", "records-2", "straightforward-1", "straightforward-2")
PYTHON = [sys.executable, "-m"]


def command(run: str, data: FullScale, out: Path) -> list[str]:
    """The command line of a run."""
    kind, _, processes = run.partition("-")
    if kind == "parse_and_encode":
        return [*PYTHON, "benchmarks.metadata.parse_and_encode", f"--data={data.folder}"]
    if kind == "records":
        sources = [f"--source={source}" for source in data.sources]
        return [*PYTHON, "benchmarks.metadata.merged_records", *sources, f"--out={out}", f"--workers={processes}"]
    paths = [f"--coco={data.folder}/coco", f"--vg={data.folder}/visual_genome", f"--out={out}"]
    return [*PYTHON, "benchmarks.straightforward", *paths, f"--processes={processes}"]


def read_records(out: Path) -> Iterator[bytes]:
    """The records that a run wrote, as JSON."""
    for path in out.glob("records/*.jsonl"):
        with path.open("rb") as lines:
            yield from lines
    for path in out.glob("*.tar"):
        with tarfile.open(path) as tar:
            for entry in tar:
                if member := tar.extractfile(entry):
                    yield member.read()


def digest(out: Path) -> str:
    """A hash of the records that does not depend on their order and spelling, nor on files' names, which the script
    does not keep."""
    records = (msgspec.structs.replace(decode_record(data), names={}) for data in read_records(out))
    canonical = [encode_record(record) for record in records]
    return hashlib.sha256(b"".join(sorted(hashlib.sha256(record).digest() for record in canonical))).hexdigest()


def measure(run: str, data: FullScale, out: Path) -> tuple[CommandCost, str | None]:
    """Measure a run; returns its cost and the hash of its records, if it makes any."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    os.environ["MASKX_SCRATCH"] = str(out / "scratch")  # empty: nothing is cached from an earlier run
    cost = measured(command(run, data, out))
    found = None if run == "parse_and_encode" else digest(out)
    shutil.rmtree(out)
    return cost, found


def summary(costs: dict[str, CommandCost], digests: set[str], data: FullScale) -> dict[str, object]:
    """The ratios, `two_processes_ratio` among them."""
    found: dict[str, object] = {"same_records": len(digests) == 1}
    if {"records-1", "parse_and_encode"} <= costs.keys():
        least, ours = costs["parse_and_encode"], costs["records-1"]
        found |= {"ratio": ours.wall_s / least.wall_s, "cpu_ratio": ours.cpu_s / least.cpu_s}
        if "records-2" in costs:
            found["two_processes_ratio"] = costs["records-2"].wall_s / least.wall_s
    for processes in ("1", "2"):
        ours_and_theirs = costs.get(f"records-{processes}"), costs.get(f"straightforward-{processes}")
        if ours_and_theirs[0] and ours_and_theirs[1]:
            ours, theirs = ours_and_theirs[0], ours_and_theirs[1]
            found[f"faster-{processes}"] = theirs.wall_s / ours.wall_s
            found[f"memory_factor-{processes}"] = theirs.shares_mb / ours.shares_mb
    found["ms_per_image"] = {run: 1000 * cost.wall_s / data.images for run, cost in costs.items()}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fraction", type=float, default=1.0, help="of the real size")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="the generated files' folder")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/metadata"), help="emptied for every run")
    parser.add_argument("--runs", nargs="+", choices=RUNS, default=RUNS)
    options = parser.parse_args()
    data = full_scale(options.fraction, options.folder)
    print_settings(DATA, data=data)
    costs: dict[str, CommandCost] = {}
    digests: set[str] = set()
    for run in options.runs:
        costs[run], found = measure(run, data, options.out)
        digests |= {found} if found else set()
        print(f"{run:20}{costs[run].row()}", flush=True)
    figures = {run: cost.row() for run, cost in costs.items()}
    result = {"fraction": options.fraction, **summary(costs, digests, data), "runs": figures}
    print(msgspec.json.encode(result).decode())


if __name__ == "__main__":
    main()
