"""An evaluation together with what it was computed from, as the report needs it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from data_prep.format.index import IndexRow
from data_prep.format.reader import Dataset
from maskx_model.evaluation.metrics import Evaluation

if TYPE_CHECKING:
    from maskx_model.evaluation.ground_truth import GroundTruth
    from maskx_model.evaluation.predictions import Predictions


@dataclass(frozen=True)
class EvaluationRun:
    """An evaluation with what it was made of: `predictions` by kind of model, the baseline first; A as positions."""

    data: Dataset
    rows: Sequence[IndexRow]
    ground_truth: Sequence["GroundTruth"]
    predictions: Mapping[str, "Predictions"]
    mask_classes: frozenset[int]
    result: Evaluation
