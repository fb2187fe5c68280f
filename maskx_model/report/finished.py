"""Whether an evaluation is there already. Needs neither torch nor what draws the report."""

import msgspec

from data_prep.storage.errors import JSON_ERRORS
from data_prep.storage.storage import exists, read
from maskx_model.artifacts.origin import Origin
from maskx_model.evaluation.metrics import Evaluation


def read_finished(out: str, made_from: Origin) -> Evaluation | None:
    """Read the evaluation in the folder `out`; None unless it is finished and has this provenance."""
    if not exists(f"{out}/metrics.json"):
        return None
    try:
        evaluation = msgspec.json.decode(read(f"{out}/metrics.json"), type=Evaluation)
    except JSON_ERRORS:
        return None  # of another version, or damaged: it is written again
    return evaluation if evaluation.made_from == made_from else None
