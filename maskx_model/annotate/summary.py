"""`summary.json`: what a run made of what. Written last: without it the output is not whole."""

import msgspec

from data_prep.sources.reasons import NOTED
from data_prep.storage.errors import JSON_ERRORS, DataError
from data_prep.storage.own_files import write_own
from data_prep.storage.storage import exists, read
from maskx_model.annotate.calibration import Calibration
from maskx_model.annotate.outcomes import OUTCOMES, UNKNOWN_CLASS
from maskx_model.artifacts.origin import Origin

SUMMARY, PAGE = "summary.json", "page.html"
"""The files about a run, beside those that it completes."""
NAMED = 5
"""The most classes, and images, that are named in text."""
EXIF_ORIENTATION = "exif_orientation"
"""The code of `NOTED` for images that the rule `auto` left as they are stored."""


class Summary(msgspec.Struct, frozen=True):
    """`files`: each file written, with its number of annotations. `outcomes`: what became of them (`OUTCOMES`; the
    numbers add up). `unknown_classes`: annotations of each class that the model does not know, the most frequent
    first. `problems`: images that cannot be used, some of each part. `mean_score`: of the masks made, None without any.
    `calibration`: None where a mask's score is its certainty. `exif_orientation`: images with an EXIF orientation that
    the rule `auto` left as they are stored."""

    made_from: Origin
    model: str
    files: dict[str, int]
    outcomes: dict[str, int]
    unknown_classes: dict[str, int]
    problems: list[str]
    mean_score: float | None
    calibration: Calibration | None
    exif_orientation: int = 0


def summary_uri(out: str) -> str:
    """Where a run's summary stands."""
    return f"{out}/{SUMMARY}"


def write_summary(out: str, summary: Summary) -> None:
    """Write the summary: from this moment on the run is finished."""
    write_own(summary_uri(out), summary)


def read_summary(out: str) -> Summary | None:
    """The summary of a finished run; None where none is finished. Raises DataError if it is damaged."""
    if not exists(summary_uri(out)):
        return None
    try:
        return msgspec.json.decode(read(summary_uri(out)), type=Summary)
    except JSON_ERRORS as error:
        raise DataError(f"{summary_uri(out)}: not the summary of a run ({error}); choose another folder") from None


def describe(summary: Summary, out: str) -> str:
    """The summary for people."""
    width = max((len(f"{number:,}") for number in summary.outcomes.values()), default=1)
    lines = [f"{sum(summary.files.values()):,} annotations, by model {summary.model}:"]
    for name, number in summary.outcomes.items():
        lines.append(f"  {number:{width},} {OUTCOMES[name]}{_named(summary) if name == UNKNOWN_CLASS else ''}")
    if summary.mean_score is not None:
        what = "foretold IoU" if summary.calibration else "certainty, not calibrated: see --calibrate"
        lines.append(f"mean score of the masks made: {summary.mean_score:.2f} ({what})")
    if summary.exif_orientation:
        lines.append(f"{summary.exif_orientation:,} {NOTED[EXIF_ORIENTATION]}")
    lines += [f"  {problem}" for problem in summary.problems[:NAMED]]
    if len(summary.problems) > NAMED:
        lines.append(f"  and more; {summary_uri(out)} names {len(summary.problems)}")
    return "\n".join([*lines, f"{', '.join(summary.files)} and {PAGE} are in {out}"])


def _named(summary: Summary) -> str:
    some = [f"{name} {number:,}" for name, number in list(summary.unknown_classes.items())[:NAMED]]
    more = ", …" if len(summary.unknown_classes) > NAMED else ""
    return f" ({', '.join(some)}{more})"
