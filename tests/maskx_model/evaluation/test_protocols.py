"""By LVIS's protocol: Visual Genome's boxes, and masks of classes that were not looked for everywhere."""

import csv
from pathlib import Path

import msgspec
import pytest
import torch

from data_prep.format.reader import Dataset
from data_prep.storage.errors import DataError
from maskx_model.artifacts.model_folder import LoadedModel, save_model
from maskx_model.config import MaskConfig, ModelConfig
from maskx_model.evaluation.metrics import Evaluation
from maskx_model.evaluation.protocols import PROTOCOLS, exhaustive_classes
from maskx_model.model.detector import build_detector
from maskx_model.model.maskx_rcnn import MaskXRCNN
from maskx_model.registry.run_contents import gather
from maskx_model.report.evaluate import evaluate
from tests.maskx_model.synthetic import random_world
from tests.maskx_model.synthetic_dataset import DETECTOR, write_dataset, write_model

NAMES = ["cup", "dog", "hat"]


@pytest.fixture(scope="module")
def boxes_of_vg(toy_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Evaluation]:
    """An evaluation on the toy world's Visual Genome of an untrained model, with its detector as the baseline; and the
    folder of all three."""
    folder = tmp_path_factory.mktemp("vg")
    torch.manual_seed(0)
    detector = build_detector(DETECTOR, len(toy_dataset.vocabulary), load_weights=False)
    torch.nn.init.normal_(detector.roi_heads.box_predictor.cls_score.weight, std=0.2)
    save_model(f"{folder}/detector", LoadedModel(detector, ModelConfig(DETECTOR), toy_dataset.vocabulary, ()), {})
    config = ModelConfig(DETECTOR, MaskConfig(mlp="none", convolutions=1, channels=8))
    model = MaskXRCNN(config, len(toy_dataset.vocabulary), detector)
    save_model(f"{folder}/transfer", LoadedModel(model, config, toy_dataset.vocabulary, (0,)), {})
    uris = {name: f"{folder}/{name}" for name in ("transfer", "detector", "out")}
    return folder, evaluate(
        uris["transfer"], toy_dataset.uri, uris["out"], uris["detector"], source="vg", protocol="lvis"
    )


def test_a_source_without_masks_has_box_ap_and_no_mask_ap(boxes_of_vg: tuple[Path, Evaluation]) -> None:
    folder, result = boxes_of_vg
    assert result.ap == result.ap_gt_boxes == {}
    assert list(result.details) == ["box"]
    assert list(result.box_ap) == ["detector", "transfer"]
    assert {"A", "B", "all", "rare", "common", "frequent"} == set(result.box_ap["detector"])
    assert result.box_ap["detector"]["all"] is not None
    assert result.box_ap["detector"] == result.box_ap["transfer"]
    assert result.known_absent == 0
    assert {c.frequency for c in result.per_class} <= {"rare", "common", "frequent"}
    assert msgspec.json.decode((folder / "out/metrics.json").read_bytes(), type=Evaluation) == result


def test_every_class_that_the_source_annotates_is_measured(
    toy_dataset: Dataset, boxes_of_vg: tuple[Path, Evaluation]
) -> None:
    _, result = boxes_of_vg
    assert {c.position for c in result.per_class} == set(toy_dataset.vocabulary.index("vg").values())


def test_the_page_says_what_is_measured_and_shows_no_masks(boxes_of_vg: tuple[Path, Evaluation]) -> None:
    page = (boxes_of_vg[0] / "out/report.html").read_text()
    assert "a detection costs nothing in an image without its class" in page
    assert "predicted boxes" not in page
    assert "<th>rare</th>" in page


def test_predictions_without_masks_are_boxes_of_classes_that_are_there(
    toy_dataset: Dataset, boxes_of_vg: tuple[Path, Evaluation]
) -> None:
    results = msgspec.json.decode((boxes_of_vg[0] / "out/predictions-detector.json").read_bytes())
    assert results
    assert all(set(r) == {"image_id", "category_id", "bbox", "score"} for r in results)
    names = {row.ids["vg"]: row.classes["vg"] for row in toy_dataset.select("val", "vg")}
    assert {r["image_id"] for r in results} <= {image for image, classes in names.items() if classes}


def test_every_class_has_a_line_of_the_csv(boxes_of_vg: tuple[Path, Evaluation]) -> None:
    folder, result = boxes_of_vg
    with (folder / "out/per_class.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["class"] for line in lines] == [c.name for c in result.per_class]
    for line, c in zip(lines, result.per_class, strict=True):
        assert (line["set"], line["frequency"], int(line["objects"])) == (c.set, c.frequency, c.objects)
        expected = c.box_ap["detector"]
        assert line["box AP detector"] == ("" if expected is None else str(expected))


def test_the_detector_is_asked_for_300_detections_down_to_a_ten_thousandth() -> None:
    torch.manual_seed(0)
    detector = build_detector(DETECTOR, 20, load_weights=False).eval()
    image = [torch.rand(3, 96, 128)]
    PROTOCOLS["coco"].configure(detector)
    assert len(detector(image)[0]["scores"]) == DETECTOR.detections_per_image
    PROTOCOLS["lvis"].configure(detector)
    found = detector(image)[0]["scores"]
    assert DETECTOR.detections_per_image < len(found) <= 300
    assert found.min() > 1e-4
    assert detector.roi_heads.score_thresh == 1e-4


def test_masks_of_classes_known_to_be_absent_are_errors(tmp_path: Path) -> None:
    records, _ = random_world(0, 3, NAMES)
    told = [
        msgspec.structs.replace(r, negative={"coco": sorted(set(NAMES) - {o.category for o in r.objects["coco"]})})
        for r in records
    ]
    write_model(tmp_path / "model", NAMES, "transfer")
    for name, written in (("silent", records), ("told", told)):
        write_dataset(tmp_path / name, written, NAMES)
    silent, known = (
        evaluate(f"{tmp_path}/model", f"{tmp_path}/{name}", f"{tmp_path}/out-{name}", protocol="lvis")
        for name in ("silent", "told")
    )
    assert silent.known_absent == 0
    assert known.known_absent == sum(len(r.negative["coco"]) for r in told) > 0
    assert set(known.ap["transfer"]) == {"A", "B", "all"}
    counts = [
        len(msgspec.json.decode((tmp_path / f"out-{name}/predictions-transfer.json").read_bytes()))
        for name in ("silent", "told")
    ]
    assert 0 < counts[0] < counts[1]
    page = (tmp_path / "out-told/report.html").read_text()
    assert f"There are {known.known_absent} pairs of an image and a class known to be absent from it" in page


def test_an_evaluation_of_boxes_alone_is_not_registered(boxes_of_vg: tuple[Path, Evaluation]) -> None:
    folder, _ = boxes_of_vg
    with pytest.raises(DataError, match="only boxes were measured"):
        gather(f"{folder}/transfer", f"{folder}/out", (), None, None)


def test_cocos_protocol_names_the_other_where_nothing_is_exhaustive(toy_dataset: Dataset) -> None:
    with pytest.raises(DataError, match="--protocol lvis"):
        exhaustive_classes(toy_dataset, "vg")
