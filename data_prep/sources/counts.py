"""Keeping count, so that nothing is lost in silence: what came in, what a rule left out, what was broken."""

from collections.abc import Iterable

import msgspec

from data_prep.format.rejects import Reject, excerpt
from data_prep.sources.images import SourceImage
from data_prep.sources.reasons import BrokenError

Counts = dict[str, dict[str, int]]


class Tally(msgspec.Struct):
    """Counts of one worker's share, by source.

    `photographs` and `objects` are what the files list, `kept` the objects that went into shards, `left_out` counts by
    reason. `synsets` counts every synset of every Visual Genome object.
    """

    photographs: dict[str, int] = {}
    objects: dict[str, int] = {}
    kept: dict[str, int] = {}
    left_out: Counts = {}
    synsets: dict[str, int] = {}
    rejects: list[Reject] = []

    def leave_out(self, source: str, reason: str, count: int = 1) -> None:
        """Note things that a rule leaves out."""
        increase(self.left_out.setdefault(source, {}), reason, count)

    def reject_photograph(self, image: SourceImage, error: BrokenError) -> None:
        """Note that an image is broken, and what was seen."""
        place = "/".join(image.path.split("/")[-2:])
        seen = excerpt(f"{place}: {error.seen}" if error.seen else place)
        self.rejects.append(
            Reject(image.source, image.listed, "photograph", image.id, image.offset, error.reason, seen)
        )

    def include(self, other: "Tally") -> None:
        """Add another share's counts to these."""
        for mine, theirs in (
            (self.photographs, other.photographs),
            (self.objects, other.objects),
            (self.kept, other.kept),
            (self.synsets, other.synsets),
        ):
            for name, count in theirs.items():  # a span has a thousand synsets: calling `increase` takes twice the time
                mine[name] = mine.get(name, 0) + count
        for source, reasons in other.left_out.items():
            for reason, count in reasons.items():
                self.leave_out(source, reason, count)
        self.rejects.extend(other.rejects)

    def rejected(self) -> Counts:
        """How many rejects there are: source → reason → count."""
        counts: Counts = {}
        for reject in self.rejects:
            increase(counts.setdefault(reject.source, {}), reject.reason)
        return counts


def increase(counts: dict[str, int], name: str, by: int = 1) -> None:
    """Add to a count that may not be there yet; adding nothing leaves no entry."""
    if by:
        counts[name] = counts.get(name, 0) + by


_decoder = msgspec.json.Decoder(Tally)


def sum_tallies(encoded: Iterable[bytes]) -> bytes:
    """Tallies → their sum, both as JSON: small elements for Beam, and the sum is the same in any grouping."""
    total = Tally()
    for data in encoded:
        total.include(_decoder.decode(data))
    return msgspec.json.encode(total)
