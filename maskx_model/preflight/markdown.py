"""Markdown for the pages of Kubeflow Pipelines."""

import re
from collections.abc import Iterable, Mapping

_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]*@")


def shown(value: str) -> str:
    """A text without the user's name and password that a URL in it may carry."""
    return _CREDENTIALS.sub("", value)


def table(rows: Mapping[str, str]) -> list[str]:
    """Lines of a table of two columns: names and values."""
    return ["| what | |", "|---|---|", *(f"| {name} | {shown(value)} |" for name, value in rows.items())]


def bullets(lines: Iterable[str]) -> list[str]:
    """Lines of a list."""
    return [f"- {line}" for line in lines]
