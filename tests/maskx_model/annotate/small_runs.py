"""A run of `maskx annotate`, and the annotations that it wrote."""

import json
from pathlib import Path
from typing import Any

from maskx_model.annotate.annotate import AnnotateOptions, annotate
from maskx_model.annotate.summary import Summary


def run(model: str, out: Path, source: str | None = None, **options: Any) -> Summary:
    """Annotate the source, or what the options name, into `out`."""
    return annotate(AnnotateOptions(model, str(out), source, **options))


def annotated(out: Path, name: str = "boxes.json") -> list[dict[str, Any]]:
    """The annotations of a file in `out`."""
    found: list[dict[str, Any]] = json.loads((out / name).read_text())["annotations"]
    return found
