"""Stage 2: what it learns, at which learning rate, and from what it cannot learn."""

import json
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import torch

from data_prep.format.reader import Dataset
from data_prep.format.records import Annotation, Record
from data_prep.storage.errors import DataError, MaskxError
from maskx_model.artifacts.model_folder import load_model
from maskx_model.config import MaskKind
from maskx_model.data.samples import to_tensor
from maskx_model.model.maskx_rcnn import MaskXRCNN
from maskx_model.results.predict import predict, segment_boxes
from maskx_model.study.frozen_detector import FrozenDetector
from maskx_model.training.stages import train_detector, train_masks
from tests.maskx_model.samples import rle
from tests.maskx_model.synthetic import random_world
from tests.maskx_model.synthetic_dataset import write_dataset
from tests.maskx_model.tiny_presets import tiny, tiny_cached
from tests.maskx_model.training.same_model import STEPS, assert_same_model, weights


def test_stage_2_leaves_the_detector_as_it_was_and_learns_masks(
    toy_dataset: Dataset, detector: str, tmp_path: Path
) -> None:
    preset = tiny_cached(STEPS, checkpoint_every=100)
    train_masks(toy_dataset.uri, detector, str(tmp_path), preset)
    before, after = weights(detector), weights(tmp_path)
    assert all(torch.equal(value, after[f"detector.{name}"]) for name, value in before.items())
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    losses = [line["loss_mask"] for line in lines[:-1]]
    assert sum(losses[STEPS // 2 :]) < sum(losses[: STEPS // 2])
    assert lines[-1]["learning_rate_tried"] in (3e-3, 1e-3)


def test_a_learning_rate_at_which_training_diverges_is_set_aside(
    toy_dataset: Dataset, detector: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    preset = tiny_cached(8, checkpoint_every=100)
    rates = {"first": (1e30, 1e-2), "last": (1e-2, 1e30), "both": (1e30, 1e31)}
    presets = {name: replace(preset, stage2=replace(preset.stage2, learning_rates=own)) for name, own in rates.items()}
    for name in ("first", "last"):
        train_masks(toy_dataset.uri, detector, f"{tmp_path}/{name}", presets[name])
        assert "stage 2, learning rate 1e+30, step" in caplog.text
        caplog.clear()
        line = json.loads((tmp_path / name / "metrics.jsonl").read_text().splitlines()[-1])
        assert line["learning_rate_tried"] == 1e-2
    with pytest.raises(MaskxError, match=r"stage 2, learning rate 1e\+31, step .* lower the learning rate"):
        train_masks(toy_dataset.uri, detector, f"{tmp_path}/both", presets["both"])


def test_of_several_learning_rates_the_one_with_the_lowest_loss_on_held_out_images_is_chosen(
    toy_dataset: Dataset, detector: str, tmp_path: Path
) -> None:
    preset = tiny_cached(8, checkpoint_every=100)
    last_lines = {}
    for learning_rate in (1e-6, 1e-2):
        one = replace(preset, stage2=replace(preset.stage2, learning_rates=(learning_rate, learning_rate)))
        train_masks(toy_dataset.uri, detector, f"{tmp_path}/{learning_rate}", one)
        last_lines[learning_rate] = json.loads(
            Path(tmp_path, str(learning_rate), "metrics.jsonl").read_text().splitlines()[-1]
        )
    both = replace(preset, stage2=replace(preset.stage2, learning_rates=(1e-6, 1e-2)))
    train_masks(toy_dataset.uri, detector, f"{tmp_path}/both", both)
    assert last_lines[1e-2]["loss_held_back"] < last_lines[1e-6]["loss_held_back"]
    assert_same_model(tmp_path / "both", tmp_path / "0.01")


@pytest.mark.parametrize("kind", ["transfer", "class_agnostic", "class_specific"])
def test_a_trained_model_predicts_and_segments_ground_truth_boxes(
    toy_dataset: Dataset, detector: str, tmp_path: Path, kind: MaskKind
) -> None:
    train_masks(toy_dataset.uri, detector, str(tmp_path), tiny(2), kind=kind)
    loaded = load_model(str(tmp_path))
    assert loaded.config.mask is not None and loaded.config.mask.kind == kind
    assert len(loaded.mask_classes) == 30 and not loaded.model.training
    assert isinstance(loaded.model, MaskXRCNN)
    loaded.model.detector.roi_heads.score_thresh = 0.0
    pixels = torch.randint(0, 256, (2, 50, 70, 3), dtype=torch.uint8).numpy()
    images = [pixels[0], pixels[1, :40]]
    for image in images:
        instances = predict(loaded.model, image)
        assert len(instances.scores) == len(instances.labels) == len(instances.masks) == len(instances.boxes) > 0
        assert sorted(instances.scores, reverse=True) == list(instances.scores)
        assert instances.labels.min() >= 0 and instances.labels.max() < len(toy_dataset.vocabulary)
        assert {mask.size for mask in instances.masks} == {image.shape[:2]}
        assert instances.boxes.min() >= 0 and bool((instances.boxes.max(0)[2:] <= image.shape[1::-1]).all())
    encoded = loaded.model.encode([to_tensor(images[0])])
    for boxes, labels in ((torch.tensor([[5.0, 5.0, 30.0, 30.0]]), [4]), (torch.zeros(0, 4), [])):
        ground_truth = {
            "boxes": boxes,
            "labels": torch.tensor(labels, dtype=torch.int64),
            "scores": torch.ones(len(boxes)),
        }
        masks = segment_boxes(loaded.model, encoded, ground_truth).masks
        assert [mask.size for mask in masks] == [(50, 70)] * len(boxes)


NAMES = ["cup", "tree", "dog"]


def small_world(folder: Path, records: list[Record]) -> str:
    """A dataset of those images, and `detector`, an untrained one for it."""
    dataset = write_dataset(folder / "data", records, NAMES, split="train")
    train_detector(dataset, f"{folder}/detector", replace(tiny(1), stage1_source="coco"))
    return dataset


def without(records: list[Record], name: str) -> list[Record]:
    def kept(record: Record) -> list[Annotation]:
        return [a for a in record.objects["coco"] if a.category != name]

    return [msgspec.structs.replace(record, objects={"coco": kept(record)}) for record in records]


def damage(dataset: str, positions: list[int]) -> None:
    """These images' bytes are no JPEG any more."""
    rows = Dataset.open(dataset).select("train", "coco")
    with Path(dataset, rows[0].shard).open("r+b") as shard:
        for position in positions:
            shard.seek(rows[position].image_offset + 200)
            shard.write(bytes(rows[position].image_length - 200))


def test_cached_rois_are_made_of_the_images_that_can_be_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    dataset = small_world(tmp_path, random_world(0, 12, NAMES)[0])
    damage(dataset, [0, 2])  # one held out, one to train on
    preset = tiny_cached(2)
    half = replace(preset, stage2=replace(preset.stage2, max_set_aside=0.5))
    places = dataset, f"{tmp_path}/detector"
    train_masks(*places, f"{tmp_path}/out", half, mask_classes="coco")
    told = [r.getMessage() for r in caplog.records if "set aside, " in r.getMessage()]
    assert [text.partition(" training images so far: ")[0] for text in told] == [
        f"set aside, {n} of 12" for n in (1, 2)
    ]
    frozen = FrozenDetector(*places, f"{tmp_path}/features", half, (0, 1, 2), (0, 1, 2), "train")
    assert len(frozen.training_rois("gt")) > 0
    with pytest.raises(DataError, match=r"1 of 12 training images cannot be read, more than max_set_aside \(0.01 of"):
        train_masks(*places, f"{tmp_path}/few", preset, mask_classes="coco")
    damage(dataset, [10])
    with pytest.raises(DataError, match="none of 2 images can be read; look at the dataset with"):  # held out
        train_masks(*places, f"{tmp_path}/none", half, mask_classes="coco")


def test_no_image_of_a_class_of_a_is_an_error(tmp_path: Path) -> None:
    records, _ = random_world(0, 6, NAMES)
    dataset = small_world(tmp_path, without(records, "cup"))
    (tmp_path / "a.txt").write_text("cup\n")
    with pytest.raises(DataError, match="no training image of source 'coco' shows a class of A"):
        train_masks(dataset, f"{tmp_path}/detector", f"{tmp_path}/out", tiny(1), mask_classes=f"{tmp_path}/a.txt")


def test_images_of_nothing_but_crowds_are_refused_at_once(tmp_path: Path) -> None:
    whole = rle(torch.ones(120, 160, dtype=torch.bool).numpy())
    crowd = Annotation(1, "cup", (0, 0, 159, 119), 100.0, iscrowd=1, mask=whole)
    records = [Record(f"coco-{i:012d}", 160, 120, {"coco": i}, {"coco": [crowd]}) for i in range(1, 4)]
    small_world(tmp_path, random_world(0, 6, NAMES)[0])
    dataset = write_dataset(tmp_path / "crowds", records, NAMES, split="train")
    with pytest.raises(DataError, match="all 3 objects of source 'coco' in the training images are crowds"):
        train_masks(dataset, f"{tmp_path}/detector", f"{tmp_path}/out", tiny(2), mask_classes="coco")


def test_one_image_is_too_few_to_choose_a_learning_rate_by(tmp_path: Path) -> None:
    records, _ = random_world(0, 6, NAMES)
    dataset = small_world(tmp_path, [record for record in records if record.objects["coco"]][:1])
    with pytest.raises(DataError, match="only one image shows a class of A, too few to hold one out"):
        train_masks(dataset, f"{tmp_path}/detector", f"{tmp_path}/out", tiny_cached(1), mask_classes="coco")
