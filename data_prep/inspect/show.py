"""Describe what a dataset holds, as text for a terminal."""

import msgspec

from data_prep.format.manifest import Manifest
from data_prep.format.reader import Dataset
from data_prep.format.vocabulary import Vocabulary
from data_prep.sources.counts import ReasonCounts, increase
from data_prep.sources.reasons import EXCLUDED, HELD_OUT, NOTED, REJECTED, REPAIRED
from data_prep.storage.errors import DataError

Rows = list[tuple[str, ...]]
_IMAGES = "photographs"
"""The manifest's word for images."""


def describe(manifest: Manifest) -> str:
    """Counts by split and part, then what was left out by rule and what was rejected, by source and reason."""
    whats = sorted(
        {what for parts in manifest.counts.values() for counts in parts.values() for what in counts},
        key=lambda what: (what != _IMAGES, what),
    )
    rows: Rows = [("split", "part", *("images" if what == _IMAGES else what.replace("_", " ") for what in whats))]
    for split, parts in sorted(manifest.counts.items()):
        for part, counts in sorted(parts.items()):
            rows.append((split, part, *(f"{counts.get(what, 0):,}" for what in whats)))
    sections = [table(rows)]
    sections += _reasons("left out by rule", manifest.left_out, EXCLUDED)
    sections += _reasons(
        "kept out of training (the manifest's held_out lists them)", held_out_counts(manifest), HELD_OUT
    )
    sections += _reasons("repaired and used", manifest.repaired, REPAIRED)
    sections += _reasons("used, but look at them (`maskx data check` shows examples)", manifest.noted, NOTED)
    sections += _reasons("rejected for being broken (rejects.parquet lists them)", manifest.rejected, REJECTED)
    return "\n\n".join(sections)


def _reasons(title: str, counts: ReasonCounts, words: dict[str, str]) -> list[str]:
    rows: Rows = [
        (source, reason, f"{count:,}", words.get(reason, ""))
        for source, reasons in sorted(counts.items())
        for reason, count in sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    ]
    return [f"{title}:\n{table(rows)}"] if rows else []


def held_out_counts(manifest: Manifest) -> ReasonCounts:
    """Count the images held out of training: source → what they were matched by → number."""
    counts: ReasonCounts = {}
    for image in manifest.held_out:
        increase(counts.setdefault(image.source, {}), image.by)
    return counts


def describe_classes(vocabulary: Vocabulary, most: int) -> str:
    """The most frequent classes with their objects and masks by source, all splits together."""
    sources = sorted({source for c in vocabulary.classes for source in c.sources})
    ranked = sorted(vocabulary.classes, key=lambda c: (-c.objects, c.name))
    rows: Rows = [("class", "synset", *(f"{source} {what}" for source in sources for what in ("objects", "masks")))]
    for c in ranked[:most]:
        cells = [
            f"{count:,}" if source in c.sources else ""
            for source in sources
            for count in ((c.sources[source].objects, c.sources[source].masks) if source in c.sources else (0, 0))
        ]
        rows.append((c.name, c.synset, *cells))
    return f"{len(vocabulary):,} classes, the {len(rows) - 1} most frequent:\n{table(rows)}"


def describe_image(dataset: Dataset, key: str) -> str:
    """One image's index row and record as JSON; raises DataError if the dataset has no such key."""
    row = dataset.find(key)
    if row is None:
        example = dataset.index["key"][0].as_py()
        raise DataError(f"{dataset.uri}: has no image {key!r}; keys look like {example}")
    shown = {"row": row, "record": dataset.read_record(row)}
    return msgspec.json.format(msgspec.json.encode(shown), indent=1).decode()


def table(rows: Rows) -> str:
    """Columns side by side, numbers to the right; text from data stays on its line, whatever is in it."""
    clean = [[_printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*clean, strict=True)]
    lines = (
        "  ".join(
            cell.rjust(width) if cell[:1].isdigit() else cell.ljust(width)
            for cell, width in zip(row, widths, strict=True)
        )
        for row in clean
    )
    return "\n".join(line.rstrip() for line in lines)


def _printable(text: str) -> str:
    """Without control characters, which a terminal would obey."""
    return "".join(character if character.isprintable() else "�" for character in text)
