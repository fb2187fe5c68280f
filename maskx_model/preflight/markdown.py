"""Markdown for the pages of Kubeflow Pipelines."""

from collections.abc import Iterable, Mapping

from maskx_model.registry.credentials import shown


def table(rows: Mapping[str, str]) -> list[str]:
    """Lines of a table of two columns: names and values."""
    return ["| what | |", "|---|---|", *(f"| {name} | {shown(value)} |" for name, value in rows.items())]


def bullets(lines: Iterable[str]) -> list[str]:
    """Lines of a list."""
    return [f"- {line}" for line in lines]
