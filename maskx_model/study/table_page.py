"""Render the paper's tables in small as an HTML page that stands alone, and as CSV."""

import csv
import io

from data_prep.pages.html import page_environment
from maskx_model.study.table_result import Tables
from maskx_model.study.table_rows import TITLES

COLUMNS = ("b", "a", "b_given")


def tables_page(result: Tables) -> str:
    """Render the tables and the orderings as HTML."""
    environment = page_environment("maskx_model.study")
    environment.filters["signed"] = lambda ap: f"{ap:+.1f}"
    environment.filters["spread"] = lambda spread: "–" if spread is None else str(spread)
    titled = {
        title: [row for row in result.rows if row.table == table]
        for table, title in TITLES.items()
        if any(row.table == table for row in result.rows)
    }
    return environment.get_template("paper_tables.html.j2").render(result=result, tables=titled)


def tables_csv(result: Tables) -> str:
    """Write a line for each row: mean and standard deviation of AP on B, on A, and on ground-truth boxes of B, empty if
    the row was not run."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["table", "row", *(f"{column}_{what}" for column in COLUMNS for what in ("mean", "deviation"))])
    for row in result.rows:
        spreads = [getattr(row, column) for column in COLUMNS]
        numbers = [number for each in spreads for number in ((each.mean, each.deviation) if each else ("", ""))]
        writer.writerow([row.table, row.name, *numbers])
    return text.getvalue()
