"""From models and a dataset to numbers, files and a page."""

import contextlib
import io
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from data_prep.format.reader import Dataset
from data_prep.format.records import Record
from data_prep.storage.errors import CheckpointError, ConfigError, DataError
from maskx_model.artifacts.model_folder import load_model
from maskx_model.artifacts.origin import Origin
from maskx_model.evaluation.evaluation_run import EvaluationRun
from maskx_model.evaluation.ground_truth import GroundTruth
from maskx_model.evaluation.metrics import Evaluation, measure
from maskx_model.evaluation.predictions import Predictions, ground_truth_boxes, predict
from maskx_model.evaluation.protocols import exhaustive_classes
from maskx_model.model.maskx_rcnn import MaskXRCNN
from maskx_model.report.evaluate import evaluate
from maskx_model.report.folder import write_evaluation
from tests.maskx_model.synthetic import random_world
from tests.maskx_model.synthetic_dataset import write_dataset, write_model
from tests.readme import ROOT

NAMES = ["cup", "<script>alert(1)</script>", "Tür & Tor"]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`data` with 16 images, and models `transfer`, `class_agnostic` and `detector` with equal detectors."""
    folder = tmp_path_factory.mktemp("world")
    records, _ = random_world(0, 16, NAMES)
    write_dataset(folder / "data", records, NAMES)
    write_model(folder / "transfer", NAMES, "transfer")
    write_model(folder / "class_agnostic", NAMES, "class_agnostic")
    write_model(folder / "detector", NAMES, None)
    return folder


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


@pytest.fixture(scope="module")
def evaluated(world: Path) -> Evaluation:
    return evaluate(
        f"{world}/transfer",
        f"{world}/data",
        f"{world}/out",
        baseline=f"{world}/class_agnostic",
        stages=[f"{world}/detector"],
    )


def test_numbers_stand_by_kind_and_set_and_are_what_the_file_says(world: Path, evaluated: Evaluation) -> None:
    assert list(evaluated.ap) == ["class_agnostic", "transfer"]
    for numbers in (evaluated.ap, evaluated.ap_gt_boxes, evaluated.box_ap):
        for sets in numbers.values():
            assert list(sets) == ["A", "B", "all"]
            assert all(ap is not None and 0 <= ap <= 100 for ap in sets.values())
    assert evaluated.images == 16
    assert [c.name for c in evaluated.per_class] == NAMES
    assert [c.set for c in evaluated.per_class] == ["A", "B", "B"]
    assert msgspec.json.decode((world / "out/metrics.json").read_bytes(), type=Evaluation) == evaluated


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


def test_models_with_equal_detectors_have_equal_boxes_and_the_own_masks(world: Path, evaluated: Evaluation) -> None:
    agnostic, transfer = (
        msgspec.json.decode((world / f"out/predictions-{kind}.json").read_bytes())
        for kind in ("class_agnostic", "transfer")
    )
    assert [(r["bbox"], r["score"]) for r in agnostic] == [(r["bbox"], r["score"]) for r in transfer]
    assert agnostic != transfer


def test_sharing_the_detector_changes_nothing(world: Path) -> None:
    """Alone or beside another model, with an equal or another detector: the same instances to the last bit."""
    image = np.random.default_rng(0).integers(0, 255, (120, 160, 3)).astype(np.uint8)
    write_model(world / "other", NAMES, "class_agnostic", seed=1)
    models = {}
    for name in ("transfer", "class_agnostic", "other"):
        model = load_model(f"{world}/{name}").model
        assert isinstance(model, MaskXRCNN)
        models[name] = model
    annotated = GroundTruth.of(random_world(0, 2, NAMES)[0][1], "coco", {name: i for i, name in enumerate(NAMES)})
    together = predict([(image, annotated)], models)
    for name, model in models.items():
        alone = predict([(image, annotated)], {name: model})[name]
        for one, other in zip(
            alone.on_predicted_boxes + alone.on_ground_truth_boxes,
            together[name].on_predicted_boxes + together[name].on_ground_truth_boxes,
            strict=True,
        ):
            assert np.array_equal(one.boxes, other.boxes)
            assert one.masks == other.masks


def test_ground_truth_boxes_have_their_objects_classes_and_leave_crowds_out(world: Path) -> None:
    records, _ = random_world(0, 16, NAMES)
    ground_truth = [GroundTruth.of(record, "coco", {NAMES[1]: 1}) for record in records]
    for annotated in ground_truth:
        boxes, labels = ground_truth_boxes(annotated)
        real = [o for o in annotated.objects if not o.iscrowd]
        assert len(boxes) == len(labels) == len(real)
        assert torch.equal(labels, torch.ones(len(real), dtype=torch.int64))
    assert any(len(ground_truth_boxes(annotated)[0]) for annotated in ground_truth)


def test_everything_is_written(world: Path, evaluated: Evaluation) -> None:
    names = {path.name for path in (world / "out").iterdir()}
    predictions = {"predictions-transfer.json", "predictions-class_agnostic.json", "categories.json"}
    assert names == {"metrics.json", "per_class.csv", "report.html", "pictures", *predictions}
    pictures = list((world / "out/pictures").glob("*.png"))
    assert pictures
    for path in pictures:
        assert Image.open(path).width > 3 * 480


def test_the_same_evaluation_is_not_made_twice_and_found_without_torch(world: Path, evaluated: Evaluation) -> None:
    before = (world / "out/report.html").stat()
    code = f"""
import sys, msgspec
from maskx_model.report.evaluate import evaluate
folders = ["{world}/transfer", "{world}/data", "{world}/out", "{world}/class_agnostic"]
print(msgspec.json.encode(evaluate(*folders, stages=["{world}/detector"])).decode())
print([name for name in ("torch", "matplotlib", "mlflow") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    again, imported = done.stdout.splitlines()
    assert msgspec.json.decode(again, type=Evaluation) == evaluated
    assert imported == "[]"
    assert (world / "out/report.html").stat().st_mtime_ns == before.st_mtime_ns


def test_a_model_alone_and_fewer_images(world: Path) -> None:
    result = evaluate(f"{world}/transfer", f"{world}/data", f"{world}/alone", max_images=3)
    assert list(result.ap) == ["transfer"]
    assert result.images == 3
    assert not (world / "alone/predictions-class_agnostic.json").exists()


def test_without_detections_ap_is_0(world: Path) -> None:
    records, predictions = random_world(0, 4, NAMES)
    ground_truth = [GroundTruth.of(record, "coco", {name: i for i, name in enumerate(NAMES)}) for record in records]
    nothing = [type(predictions[0])(f.boxes[:0], f.labels[:0], f.scores[:0], []) for f in predictions]
    result = measure(ground_truth, {"transfer": Predictions(nothing, nothing)}, {0, 1, 2}, {0}, NAMES, {})
    assert set(result.ap["transfer"].values()) <= {0.0, None}


def test_a_folder_with_other_things_in_it_is_not_replaced(world: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ConfigError, match=r"holds thesis\.tex"):
        evaluate(f"{world}/transfer", f"{world}/data", str(tmp_path))
    with pytest.raises(ConfigError, match="is a file"):
        evaluate(f"{world}/transfer", f"{world}/data", str(tmp_path / "thesis.tex"))
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_an_older_evaluation_is_replaced(world: Path, tmp_path: Path) -> None:
    for count in (1, 2):
        evaluate(f"{world}/transfer", f"{world}/data", f"{tmp_path}/out", max_images=count)
        assert msgspec.json.decode((tmp_path / "out/metrics.json").read_bytes())["images"] == count


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"split": "test"}, DataError, "split 'test' has no image"),
        ({"source": "vg"}, DataError, "source 'vg' annotates no class"),
        ({"max_images": 0}, ConfigError, "max_images"),
        ({"model": "detector"}, CheckpointError, "a detector without masks"),
        ({"model": "nowhere"}, CheckpointError, "no finished model"),
        ({"baseline": "transfer"}, CheckpointError, "both transfer"),
        ({"model": "of-other-classes"}, CheckpointError, "another vocabulary"),
        ({"baseline": "of-other-masks"}, CheckpointError, "masks of different classes"),
    ],
)
def test_what_does_not_fit_is_refused_and_leaves_nothing(
    world: Path, tmp_path: Path, options: dict[str, str | int], error: type[Exception], words: str
) -> None:
    write_model(tmp_path / "of-other-classes", ["cup", "saucer"], "transfer")
    write_model(tmp_path / "of-other-masks", NAMES, "class_agnostic", mask_classes=(1,))
    for role in ("model", "baseline"):
        if role in options:
            near = tmp_path / str(options[role])
            options[role] = str(near if near.exists() else world / str(options[role]))
    arguments = {"model": f"{world}/transfer", "dataset": f"{world}/data", "out": f"{tmp_path}/out"}
    with pytest.raises(error, match=words):
        evaluate(**(arguments | options))  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


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
