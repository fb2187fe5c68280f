"""From predictions to numbers: AP of the sets A, B and all, as pycocotools gets it from the file of predictions."""

import contextlib
import io
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from data_prep.format.reader import Dataset
from data_prep.format.records import Record
from maskx_model.artifacts.origin import Origin
from maskx_model.evaluation.evaluation_run import EvaluationRun
from maskx_model.evaluation.ground_truth import GroundTruth
from maskx_model.evaluation.metrics import measure
from maskx_model.evaluation.predictions import Predictions
from maskx_model.evaluation.protocols import exhaustive_classes
from maskx_model.report.folder import write_evaluation
from tests.maskx_model.evaluation.conftest import NAMES
from tests.maskx_model.synthetic import random_world


@pytest.fixture(scope="module")
def mediocre(world: Path) -> EvaluationRun:
    """As if a mediocre model had been run on the images."""
    data = Dataset.open(f"{world}/data")
    rows = data.select("val", "coco")
    ground_truth = [GroundTruth.of(data.read_record(row), "coco", exhaustive_classes(data, "coco")) for row in rows]
    _, predictions = random_world(0, 16, NAMES)
    everything = {"transfer": Predictions(predictions, predictions)}
    made_from: Origin = {"split": "val", "source": "coco"}
    result = measure(ground_truth, everything, {0, 1, 2}, {0}, data.vocabulary.names, made_from)
    return EvaluationRun(data, rows, ground_truth, everything, frozenset({0}), result)


def test_a_b_and_all_are_means_over_their_classes(mediocre: EvaluationRun) -> None:
    result = mediocre.result
    per_class = [c.ap["transfer"] or 0.0 for c in result.per_class]
    assert min(per_class) > 5
    assert result.ap["transfer"]["A"] == per_class[0]
    assert result.ap["transfer"]["B"] == pytest.approx(np.mean(per_class[1:]))
    assert result.ap["transfer"]["all"] == pytest.approx(np.mean(per_class))
    assert result.details["mask"]["transfer"]["B"]["AP"] == result.ap["transfer"]["B"]


def test_pycocotools_gets_the_same_ap_from_the_predictions_file(mediocre: EvaluationRun, tmp_path: Path) -> None:
    write_evaluation(f"{tmp_path}/out", mediocre, [])
    annotated = COCO()
    records = [mediocre.data.read_record(row) for row in mediocre.rows]
    annotated.dataset = coco_document(records, mediocre.data.vocabulary.index("coco"))
    with contextlib.redirect_stdout(io.StringIO()):
        annotated.createIndex()
        predictions = annotated.loadRes(f"{tmp_path}/out/predictions-transfer.json")
        for iou_type, measured in (("segm", mediocre.result.ap), ("bbox", mediocre.result.box_ap)):
            run = COCOeval(annotated, predictions, iou_type)
            run.evaluate()
            run.accumulate()
            run.summarize()
            assert measured["transfer"]["all"] == pytest.approx(run.stats[0] * 100, abs=1e-7)


def test_without_detections_ap_is_0(world: Path) -> None:
    records, predictions = random_world(0, 4, NAMES)
    ground_truth = [GroundTruth.of(record, "coco", {name: i for i, name in enumerate(NAMES)}) for record in records]
    nothing = [type(predictions[0])(f.boxes[:0], f.labels[:0], f.scores[:0], []) for f in predictions]
    result = measure(ground_truth, {"transfer": Predictions(nothing, nothing)}, {0, 1, 2}, {0}, NAMES, {})
    assert set(result.ap["transfer"].values()) <= {0.0, None}


def coco_document(records: Sequence[Record], index: dict[str, int]) -> dict[str, object]:
    """COCO's own JSON of the records, with category ids as `vocabulary_of` numbers them."""
    return {
        "images": [{"id": r.ids["coco"], "height": r.height, "width": r.width} for r in records],
        "categories": [{"id": 2 * position + 1, "name": name} for name, position in index.items()],
        "annotations": [
            {
                "id": o.id,
                "image_id": r.ids["coco"],
                "category_id": 2 * index[o.category] + 1,
                "bbox": list(o.bbox),
                "area": o.area,
                "iscrowd": o.iscrowd,
                "segmentation": msgspec.to_builtins(o.mask),
            }
            for r in records
            for o in r.objects["coco"]
        ],
    }
