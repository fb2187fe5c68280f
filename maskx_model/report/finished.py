"""Whether an evaluation is there already. Needs neither torch nor what draws the report."""

import logging
from typing import Any

import msgspec

from data_prep.storage.errors import JSON_ERRORS
from data_prep.storage.storage import exists, read
from maskx_model.artifacts.origin import Origin
from maskx_model.evaluation.metrics import Evaluation

logger = logging.getLogger(__name__)


class _Older(msgspec.Struct):
    """What `metrics.json` holds in every release."""

    made_from: dict[str, Any]


def tell_replaced(out: str, made_from: Origin) -> None:
    """Log how the evaluation in the folder `out`, if there is one, differs from that which is to take its place."""
    if not exists(f"{out}/metrics.json"):
        return
    before = msgspec.json.decode(read(f"{out}/metrics.json"), type=_Older).made_from
    different = sorted(name for name in {*before, *made_from} if before.get(name) != made_from.get(name))
    named = ", ".join(different) or "what its file holds"
    logger.warning("%s: replaces an evaluation that differs in %s", out, named)


def read_finished(out: str, made_from: Origin) -> Evaluation | None:
    """Read the evaluation in the folder `out`; None unless it is finished and has this provenance."""
    if not exists(f"{out}/metrics.json"):
        return None
    try:
        evaluation = msgspec.json.decode(read(f"{out}/metrics.json"), type=Evaluation)
    except JSON_ERRORS:
        return None  # of another version, or damaged: it is written again
    return evaluation if evaluation.made_from == made_from else None
