"""Counts by source, so that nothing is lost silently: what came in, what a rule excluded, what was broken."""

from collections import Counter
from collections.abc import Iterable

import msgspec

from data_prep.format.rejects import Reject, excerpt
from data_prep.sources.images import SourceImage
from data_prep.sources.reasons import BrokenError

ReasonCounts = dict[str, dict[str, int]]
"""Source → reason → number."""


class Counts(msgspec.Struct):
    """What one worker counted, by source.

    `images` and `objects` are what the files list, `included` the objects that went into shards, `excluded` those left
    out by rule, by reason. `synsets` counts every synset of every Visual Genome object.
    """

    images: dict[str, int] = {}
    objects: dict[str, int] = {}
    included: dict[str, int] = {}
    excluded: ReasonCounts = {}
    synsets: dict[str, int] = {}
    rejects: list[Reject] = []

    def exclude(self, source: str, reason: str, number: int = 1) -> None:
        """Count images or objects that a rule excludes."""
        increase(self.excluded.setdefault(source, {}), reason, number)

    def reject_image(self, image: SourceImage, error: BrokenError) -> None:
        """Add an image that is broken to the rejects."""
        name = "/".join(image.path.split("/")[-2:])
        text = excerpt(f"{name}: {error.seen}" if error.seen else name)
        self.rejects.append(
            Reject(image.source, image.listed, "photograph", image.id, image.offset, error.reason, text)
        )

    def add(self, other: "Counts") -> None:
        """Add another worker's counts to these."""
        for mine, theirs in (
            (self.images, other.images),
            (self.objects, other.objects),
            (self.included, other.included),
            (self.synsets, other.synsets),
        ):
            for name, number in theirs.items():
                mine[name] = mine.get(name, 0) + number
        for source, reasons in other.excluded.items():
            for reason, number in reasons.items():
                self.exclude(source, reason, number)
        self.rejects.extend(other.rejects)

    def rejected(self) -> ReasonCounts:
        """The number of rejects by source and reason."""
        counts: ReasonCounts = {}
        for reject in self.rejects:
            increase(counts.setdefault(reject.source, {}), reject.reason)
        return counts


def increase(counts: dict[str, int], name: str, by: int = 1) -> None:
    """Add to a number that may not be there yet; adding 0 leaves no entry."""
    if by:
        counts[name] = counts.get(name, 0) + by


def top_rejects(rejects: Iterable[Reject]) -> str:
    """The three most frequent reasons, with an example each, as a phrase."""
    rejects = list(rejects)
    texts = []
    for reason, number in Counter(reject.reason for reject in rejects).most_common(3):
        example = min(reject for reject in rejects if reject.reason == reason)
        texts.append(f"{reason} {number}× (as in {example.file}: {example.kind} {example.id})")
    return ", ".join(texts)


_decoder = msgspec.json.Decoder(Counts)


def sum_counts(encoded: Iterable[bytes]) -> bytes:
    """The sum of counts, given and returned as JSON (small elements for Beam); the same in any grouping."""
    total = Counts()
    for data in encoded:
        total.add(_decoder.decode(data))
    return msgspec.json.encode(total)
