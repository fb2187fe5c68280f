"""What was found, for a terminal."""

from data_prep.check.check import Checked
from data_prep.check.findings import Row, Sum, image_sum, object_sum, rows
from data_prep.check.statistics import FEW_OBJECTS, SourceStatistics
from data_prep.inspect.show import table

_SHOWN_CLASSES = 8


def describe(checked: Checked) -> str:
    """By source: what became of images and objects, every finding with its example and remedy, and statistics; then
    whether `prepare` would refuse."""
    counts = checked.counts
    found = rows(counts)
    sections = []
    for source in counts.images:
        statistics = checked.statistics.get(source)
        sums = [("images", image_sum(counts, source, statistics)), ("objects", object_sum(counts, source))]
        lines = [f"source {source}", _sums(sums)]
        own = _findings([row for row in found if row.source == source])
        lines += ["", *(own or ["  nothing to say: all of it is used as it is"])]
        if statistics:
            lines += ["", *describe_statistics(statistics)]
        sections.append("\n".join(lines).rstrip())
    verdict = f"prepare would refuse this: {checked.refused}" if checked.refused else "prepare would accept this"
    return "\n\n".join([*sections, verdict])


def _sums(sums: list[tuple[str, Sum]]) -> str:
    head = ("", "listed", "used", "repaired", "left out", "rejected")
    numbers = [(name, *(f"{number:,}" for number in vars(each).values())) for name, each in sums]
    return "\n".join(f"  {line}" for line in table([head, *numbers]).splitlines())


def _findings(found: list[Row]) -> list[str]:
    lines = []
    for row in found:
        lines.append(f"  {row.outcome}: {row.reason} {row.number:,}× — {row.words}")
        if row.example and str(row.example):
            lines.append(f"    for example {row.example}")
        if row.remedy:
            lines.append(f"    to do: {row.remedy}")
    return table([(line,) for line in lines]).splitlines() if lines else []


def describe_statistics(statistics: SourceStatistics) -> list[str]:
    """Sizes, objects per image, and rare classes, a line each."""
    lines = []
    if statistics.sizes:
        smallest, median, largest = (f"{width}×{height}" for width, height in statistics.sizes)
        lines.append(f"  sizes: {smallest} to {largest}, median {median}")
    median_objects, most = statistics.objects
    lines.append(
        f"  objects in an image: median {median_objects}, at most {most}; {statistics.empty:,} of "
        f"{statistics.images:,} images have none"
    )
    rare = [f"{name} {number}" for name, number in list(statistics.rare.items())[:_SHOWN_CLASSES]]
    more = ", …" if len(statistics.rare) > _SHOWN_CLASSES else ""
    few = f"; {len(statistics.rare)} with fewer than {FEW_OBJECTS}: {', '.join(rare)}{more}" if rare else ""
    lines.append(f"  classes with objects: {statistics.classes:,}{few}")
    return table([(line,) for line in lines]).splitlines()
