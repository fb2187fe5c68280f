"""The product pipeline's YAML, and how to read it."""

from pathlib import Path

BESIDE = Path(__file__).parents[2] / "pipelines" / "maskx_vg3000.yaml"


def reads(field: dict[str, str]) -> str:
    """The pipeline's parameter that fills a field; within a group it has a prefix."""
    return field["componentInputParameter"].removeprefix("pipelinechannel--")
