"""Rows of the tables from the measurements of each seed, and whether the paper's orderings hold."""

from collections.abc import Mapping, Sequence
from statistics import mean

import msgspec

from maskx_model.study.rows import ClassAP, Row
from maskx_model.study.spread import Spread, deviation
from maskx_model.study.table_rows import ORDERINGS, Ordering, TableRow


class SeedSpread(Spread, frozen=True):
    """Mask AP, 0-100: mean and standard deviation over seeds, and each seed's."""

    seeds: tuple[float, ...]

    def __str__(self) -> str:
        return super().__str__() if len(self.seeds) > 1 else f"{self.mean:.1f}"


class RowResult(msgspec.Struct, frozen=True):
    """A row of a table. AP on predicted boxes of the classes of B and A, and on ground-truth boxes of B's; None where
    the row was not run, for the reason `not_run`."""

    table: str
    name: str
    method: str
    b: SeedSpread | None = None
    a: SeedSpread | None = None
    b_given: SeedSpread | None = None
    not_run: str | None = None


class OrderingResult(msgspec.Struct, frozen=True):
    """One of the paper's orderings: `difference` of `higher` to `lower`, the mean over seeds, and in how many of
    `seeds` it holds."""

    table: str
    lower: str
    higher: str
    strictly: bool
    on: str
    difference: float
    holds: bool
    held_in: int
    seeds: int


class Tables(msgspec.Struct, frozen=True):
    """`tables.json`: the rows in the paper's order, and the orderings between rows that were run."""

    preset: str
    seeds: tuple[int, ...]
    rows: tuple[RowResult, ...]
    orderings: tuple[OrderingResult, ...]
    made_from: dict[str, str]


def summarize(
    rows: Sequence[TableRow],
    not_run: Mapping[str, str],
    measurements: Mapping[str, Sequence[Row]],
    a: Sequence[int],
    preset: str,
    seeds: Sequence[int],
    made_from: dict[str, str],
) -> Tables:
    """`measurements`: each method's rows, one for each seed in their order. `a`: the classes with masks; the others
    that were measured are B. `not_run`: the rows (by id) that were not run, and why."""
    mask_classes = frozenset(a)
    results = tuple(
        RowResult(row.table, row.name, row.method, not_run=not_run[row.id])
        if row.id in not_run
        else row_result(row, measurements[row.method], mask_classes)
        for row in rows
    )
    by_name = {(each.table, each.name): each for each in results if each.not_run is None}
    orderings = tuple(
        _ordering(each, by_name[each.table, each.lower], by_name[each.table, each.higher])
        for each in ORDERINGS
        if {(each.table, each.lower), (each.table, each.higher)} <= by_name.keys()
    )
    return Tables(preset, tuple(seeds), results, orderings, made_from)


def row_result(row: TableRow, measured: Sequence[Row], mask_classes: frozenset[int]) -> RowResult:
    """A table's row from its method's rows, one for each seed; `mask_classes`: those of A among the measured ones."""
    return RowResult(
        row.table,
        row.name,
        row.method,
        b=_spread([each.ap for each in measured], mask_classes, among=False),
        a=_spread([each.ap for each in measured], mask_classes, among=True),
        b_given=_spread([each.ap_gt_boxes for each in measured], mask_classes, among=False),
    )


def _spread(by_seed: Sequence[ClassAP], mask_classes: frozenset[int], among: bool) -> SeedSpread:
    """Over the seeds, of the mean over the classes of A (`among`) or of B."""
    means = [mean(ap for label, ap in table.items() if (label in mask_classes) == among) for table in by_seed]
    return SeedSpread(mean(means), deviation(means), tuple(means))


def _ordering(ordering: Ordering, lower: RowResult, higher: RowResult) -> OrderingResult:
    below, above = (each.a if ordering.on == "A" else each.b for each in (lower, higher))
    assert below is not None and above is not None  # both were run
    differences = [high - low for low, high in zip(below.seeds, above.seeds, strict=True)]

    def holds(difference: float) -> bool:
        return difference > 0 or (not ordering.strictly and difference == 0)

    difference = mean(differences)
    return OrderingResult(
        ordering.table,
        ordering.lower,
        ordering.higher,
        ordering.strictly,
        ordering.on,
        difference,
        holds(difference),
        sum(map(holds, differences)),
        len(differences),
    )
