"""Counts by source, so that nothing is lost silently: what came in, what a rule excluded, what was broken."""

from collections import Counter
from collections.abc import Iterable, Mapping

import msgspec

from data_prep.format.rejects import MOST_LISTED, Kind, Reject, excerpt
from data_prep.sources.box_counts import BoxCounts
from data_prep.sources.images import SourceImage
from data_prep.sources.reasons import BrokenError
from data_prep.storage.errors import DataError

_SHOWN = 160  # characters of an example

ReasonCounts = dict[str, dict[str, int]]
"""Source → reason → number."""


class Example(msgspec.Struct, frozen=True, order=True):
    """One image or object that is reported: the label of its annotation file, the byte of its record there, what it is,
    its id (-1: it has none), and what was found, field and value first. Without a file it is about the
    source as a whole."""

    file: str
    offset: int
    kind: Kind
    id: int
    seen: str

    def __str__(self) -> str:
        if not self.file:
            return self.seen
        if self.id < 0 and self.offset < 0:
            return f"{self.file}: {self.seen}"
        kind = "image" if self.kind == "photograph" else "annotation"
        named = f"{kind} {self.id}" if self.id >= 0 else f"{kind} at byte {self.offset}"
        return f"{self.file}: {named}, {self.seen}" if self.seen else f"{self.file}: {named}"


class Finding(msgspec.Struct):
    """How often something was seen, and its first example in the order of files and bytes."""

    number: int
    example: Example


Findings = dict[str, dict[str, Finding]]
"""Source → reason → finding."""


class Counts(msgspec.Struct):
    """What one worker counted, by source.

    `images` and `objects` are what the files list, `included` the objects that went into shards, `excluded` those left
    out by rule, by reason. `repaired` are changes that cannot be wrong, of images and objects that are used, and
    `noted` what looks odd and is used unchanged. An image or object may have several of either: `repaired_images` and
    `repaired_objects` count each once. `boxes` says what a COCO-format source's boxes look like, and `synsets` counts
    every synset of every Visual Genome object. `excluded_examples` has the first example of what a rule leaves out.
    `rejects` are rows of what is broken; `unlisted` counts those without a row: source → kind → reason → number.
    """

    images: dict[str, int] = {}
    objects: dict[str, int] = {}
    included: dict[str, int] = {}
    excluded: ReasonCounts = {}
    excluded_examples: dict[str, dict[str, Example]] = {}
    synsets: dict[str, int] = {}
    rejects: list[Reject] = []
    unlisted: dict[str, dict[Kind, dict[str, int]]] = {}
    repaired: Findings = {}
    repaired_images: dict[str, int] = {}
    repaired_objects: dict[str, int] = {}
    noted: Findings = {}
    boxes: dict[str, BoxCounts] = {}

    def exclude(self, source: str, reason: str, number: int = 1, example: Example | None = None) -> None:
        """Count images or objects that a rule excludes."""
        increase(self.excluded.setdefault(source, {}), reason, number)
        if example:
            examples = self.excluded_examples.setdefault(source, {})
            examples[reason] = min(example, examples.get(reason, example))

    def exclude_image(self, image: SourceImage, reason: str, seen: str = "") -> None:
        """Count an image that a rule excludes, as an example too."""
        example = Example(image.listed, image.offset, "photograph", image.id, seen or image.name)
        self.exclude(image.source, reason, 1, example)

    def reject_image(self, image: SourceImage, error: BrokenError) -> None:
        """Add an image that is broken to the rejects."""
        text = excerpt(f"{image.name}: {error.seen}" if error.seen else image.name)
        self.rejects.append(
            Reject(image.source, image.listed, "photograph", image.id, image.offset, error.reason, text)
        )

    def repair(self, source: str, reason: str, example: Example) -> None:
        """Count a repair of an image or object that is used."""
        _add_finding(self.repaired, source, reason, Finding(1, example))

    def note(self, source: str, reason: str, example: Example, number: int = 1) -> None:
        """Count what looks odd and is used as it is."""
        _add_finding(self.noted, source, reason, Finding(number, example))

    def add(self, other: "Counts") -> None:
        """Add another worker's counts to these."""
        for mine, theirs in (
            (self.images, other.images),
            (self.objects, other.objects),
            (self.included, other.included),
            (self.synsets, other.synsets),
            (self.repaired_images, other.repaired_images),
            (self.repaired_objects, other.repaired_objects),
        ):
            for name, number in theirs.items():
                mine[name] = mine.get(name, 0) + number
        for source, reasons in other.excluded.items():
            for reason, number in reasons.items():
                example = other.excluded_examples.get(source, {}).get(reason)
                self.exclude(source, reason, number, example)
        for source, boxes in other.boxes.items():
            self.boxes.setdefault(source, BoxCounts()).join(boxes)
        before = len(self.rejects)
        self.rejects.extend(other.rejects)
        for source, kinds in other.unlisted.items():
            for kind, reasons in kinds.items():
                for reason, number in reasons.items():
                    self._leave_unlisted(source, kind, reason, number)
        if len(self.rejects) // MOST_LISTED > before // MOST_LISTED:
            self.limit_rejects()
        for own, findings in ((self.repaired, other.repaired), (self.noted, other.noted)):
            for source, by_reason in findings.items():
                for reason, finding in by_reason.items():
                    _add_finding(own, source, reason, finding)

    def limit_rejects(self) -> None:
        """Keep the first `MOST_LISTED` rejects of a source, kind and reason, and the number of the others: the same
        ones, however the counts were added."""
        found: Counter[tuple[str, Kind, str]] = Counter()
        kept = []
        for reject in sorted(self.rejects):
            key = (reject.source, reject.kind, reject.reason)
            found[key] += 1
            if found[key] <= MOST_LISTED:
                kept.append(reject)
        for key, number in found.items():
            self._leave_unlisted(*key, max(0, number - MOST_LISTED))
        self.rejects = kept

    def _leave_unlisted(self, source: str, kind: Kind, reason: str, number: int) -> None:
        if number:
            increase(self.unlisted.setdefault(source, {}).setdefault(kind, {}), reason, number)

    def numbers_rejected(self, source: str, kind: Kind) -> dict[str, int]:
        """The number of rejects of a source and kind by reason."""
        counts = dict(self.unlisted.get(source, {}).get(kind, {}))
        for reject in self.rejects:
            if reject.source == source and reject.kind == kind:
                increase(counts, reject.reason)
        return counts

    def rejected(self) -> ReasonCounts:
        """The number of rejected images and objects by source and reason."""
        kinds: tuple[Kind, ...] = ("photograph", "object")  # the object of a lost mask is used, among the repaired
        counts: ReasonCounts = {}
        for source in dict.fromkeys(reject.source for reject in self.rejects):
            for kind in kinds:
                for reason, number in self.numbers_rejected(source, kind).items():
                    increase(counts.setdefault(source, {}), reason, number)
        return counts


def _add_finding(findings: Findings, source: str, reason: str, finding: Finding) -> None:
    mine = findings.setdefault(source, {}).setdefault(reason, Finding(0, finding.example))
    mine.number += finding.number
    mine.example = min(mine.example, finding.example)


def numbers(findings: Findings) -> ReasonCounts:
    """The numbers alone."""
    return {source: {reason: f.number for reason, f in found.items()} for source, found in findings.items()}


class RefusedError(DataError):
    """So much is broken that there is nothing to prepare, or not enough; `counts` are all that were found."""

    def __init__(self, message: str, counts: Counts) -> None:
        super().__init__(message)
        self.counts = counts


def increase(counts: dict[str, int], name: str, by: int = 1) -> None:
    """Add to a number that may not be there yet; adding 0 leaves no entry."""
    if by:
        counts[name] = counts.get(name, 0) + by


def top_rejects(rejects: Iterable[Reject], numbers: Mapping[str, int] | None = None) -> str:
    """The three most frequent reasons, with an example each, as a phrase; `numbers` by reason, where not all rejects
    are there."""
    rejects = list(rejects)
    texts = []
    for reason, number in Counter(numbers or (reject.reason for reject in rejects)).most_common(3):
        example = min(reject for reject in rejects if reject.reason == reason)
        texts.append(f"{reason} {number}× (as in {example.file}: {_named(example)}, {example.excerpt[:_SHOWN]})")
    return ", ".join(texts)


def _named(reject: Reject) -> str:
    kind = "image" if reject.kind == "photograph" else "annotation"
    return f"{kind} {reject.id}" if reject.id >= 0 else f"{kind} at byte {reject.offset}"


_decoder = msgspec.json.Decoder(Counts)


def sum_counts(encoded: Iterable[bytes]) -> bytes:
    """The sum of counts, given and returned as JSON (small elements for Beam); the same in any grouping."""
    total = Counts()
    for data in encoded:
        total.add(_decoder.decode(data))
    total.limit_rejects()
    return msgspec.json.encode(total)
