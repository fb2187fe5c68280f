"""The counts as rows for people: what became of images and objects, why, how often, an example, and what to do."""

from dataclasses import dataclass
from typing import Literal

from data_prep.check.remedies import REMEDIES
from data_prep.check.statistics import SourceStatistics
from data_prep.format.rejects import Reject
from data_prep.sources.counts import Counts, Example
from data_prep.sources.reasons import EXCLUDED, EXCLUDED_OBJECTS, NOTED, REJECTED, REPAIRED

Outcome = Literal["rejected", "left out", "repaired", "odd"]


@dataclass(frozen=True)
class Row:
    """Why something of a source came to its outcome, how often, an example where there is one, and what to do."""

    source: str
    outcome: Outcome
    reason: str
    number: int
    example: Example | None

    @property
    def words(self) -> str:
        """The reason as a phrase."""
        return {**EXCLUDED, **REPAIRED, **NOTED, **REJECTED}[self.reason]

    @property
    def remedy(self) -> str:
        """What to do; empty where nothing has to be done."""
        return REMEDIES.get(self.reason, "")


@dataclass(frozen=True)
class Sum:
    """What became of all of a source's images, or of all its objects: `listed` is the sum of the others."""

    listed: int
    used: int
    repaired: int
    left_out: int
    rejected: int


def rows(counts: Counts) -> list[Row]:
    """All findings, by source; first what is rejected, then the most frequent."""
    found = [
        *_rejected(counts),
        *(
            Row(source, "left out", reason, number, counts.excluded_examples.get(source, {}).get(reason))
            for source, reasons in counts.excluded.items()
            for reason, number in reasons.items()
        ),
        *_of(counts, "repaired"),
        *_of(counts, "odd"),
    ]
    order: tuple[Outcome, ...] = ("rejected", "odd", "repaired", "left out")
    return sorted(found, key=lambda row: (row.source, order.index(row.outcome), -row.number, row.reason))


def _of(counts: Counts, outcome: Literal["repaired", "odd"]) -> list[Row]:
    findings = counts.repaired if outcome == "repaired" else counts.noted
    return [
        Row(source, outcome, reason, finding.number, finding.example)
        for source, reasons in findings.items()
        for reason, finding in reasons.items()
    ]


def _rejected(counts: Counts) -> list[Row]:
    first: dict[tuple[str, str], Reject] = {}
    for reject in counts.rejects:
        if reject.kind == "mask":
            continue  # its object is used: it is among the repaired
        key = (reject.source, reject.reason)
        first[key] = min(reject, first.get(key, reject))
    numbers = counts.rejected()
    return [
        Row(source, "rejected", reason, numbers[source][reason], Example(r.file, r.offset, r.kind, r.id, r.excerpt))
        for (source, reason), r in first.items()
    ]


def image_sum(counts: Counts, source: str, statistics: SourceStatistics | None) -> Sum:
    """What became of the source's images. Without `statistics` there was no plan: none could be used."""
    listed, kept = counts.images.get(source, 0), statistics.images if statistics else 0
    repaired = counts.repaired_images.get(source, 0)
    reasons = counts.excluded.get(source, {})
    left_out = sum(n for reason, n in reasons.items() if reason in EXCLUDED and reason not in _NOT_OF_IMAGES)
    return Sum(listed, kept - repaired, repaired, left_out, listed - kept - left_out)


_NOT_OF_IMAGES = {*EXCLUDED_OBJECTS, "outside_vocabulary", "aspect_ratio"}


def object_sum(counts: Counts, source: str) -> Sum:
    """What became of the source's objects."""
    repaired, included = counts.repaired_objects.get(source, 0), counts.included.get(source, 0)
    reasons = counts.excluded.get(source, {})
    left_out = sum(reasons.get(reason, 0) for reason in EXCLUDED_OBJECTS)
    rejected = sum(counts.numbers_rejected(source, "object").values())
    return Sum(counts.objects.get(source, 0), included - repaired, repaired, left_out, rejected)
