"""Stage 1 and stage 2 on a tiny world: killed for real, started again, and asked for the impossible."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import torch
from torch import nn

from data_prep.format.reader import Dataset
from data_prep.format.records import Annotation, Record
from data_prep.format.vocabulary import Vocabulary
from data_prep.storage.errors import CheckpointError, ConfigError, DataError, MaskxError
from maskx_model.artifacts.model_folder import load_model, read_model_manifest, save_model
from maskx_model.artifacts.tensors import load_tensors
from maskx_model.config import MaskKind, ModelConfig
from maskx_model.data.samples import to_tensor
from maskx_model.model.maskx_rcnn import MaskXRCNN
from maskx_model.presets import Preset
from maskx_model.results.predict import predict, segment_boxes
from maskx_model.training.stages import train_detector, train_masks
from tests.maskx_model.killing import REPOSITORY, kill_in_the_middle
from tests.maskx_model.samples import rle
from tests.maskx_model.synthetic import random_world
from tests.maskx_model.synthetic_dataset import write_dataset
from tests.maskx_model.tiny_presets import tiny, tiny_cached

STEPS = 24
SCRIPT = str(REPOSITORY / "tests/maskx_model/tiny_presets.py")


@pytest.fixture(scope="session")
def detector(toy_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A stage 1 that was never interrupted."""
    out = tmp_path_factory.mktemp("stages") / "detector"
    train_detector(toy_dataset.uri, str(out), tiny(STEPS, checkpoint_every=100))
    return str(out)


def weights(uri: str | Path) -> dict[str, torch.Tensor]:
    return load_tensors(f"{uri}/model.safetensors")


def assert_same_model(a: str | Path, b: str | Path) -> None:
    first, second = weights(a), weights(b)
    assert first.keys() == second.keys()
    different = [name for name, value in first.items() if not torch.equal(value, second[name])]
    assert different == []
    assert Path(a, "metrics.jsonl").read_bytes() == Path(b, "metrics.jsonl").read_bytes()


def killed(stage: str, dataset: str, detector: str, out: Path, checkpoints: str) -> None:
    command = ["-m", "tests.maskx_model.tiny_presets", stage, dataset, detector, str(out), str(STEPS)]
    kill_in_the_middle(command, out / checkpoints, after=3)
    assert not (out / "manifest.json").exists()


def test_a_detector_killed_in_training_ends_in_the_same_weights(
    toy_dataset: Dataset, detector: str, tmp_path: Path
) -> None:
    killed("detector", toy_dataset.uri, "", tmp_path, "checkpoint")
    train_detector(toy_dataset.uri, str(tmp_path), tiny(STEPS))
    assert_same_model_of_other_cadence(tmp_path, detector)


def assert_same_model_of_other_cadence(a: str | Path, b: str | Path) -> None:
    """How often checkpoints are written has no influence on what is learned."""
    assert_same_model(a, b)
    assert read_model_manifest(str(a)).made_from != read_model_manifest(str(b)).made_from


@pytest.mark.parametrize(
    ("stage", "preset", "checkpoints"),
    [
        ("masks", tiny(STEPS), "rate-0.01/checkpoint"),
        ("masks_cached", tiny_cached(STEPS), "rate-0.001/checkpoint"),
    ],
    ids=["from images", "from memory, in the second learning rate"],
)
def test_a_mask_branch_killed_in_training_ends_in_the_same_weights(
    toy_dataset: Dataset, detector: str, tmp_path: Path, stage: str, preset: Preset, checkpoints: str
) -> None:
    killed(stage, toy_dataset.uri, detector, tmp_path / "killed", checkpoints)
    train_masks(toy_dataset.uri, detector, f"{tmp_path}/killed", preset)
    train_masks(toy_dataset.uri, detector, f"{tmp_path}/whole", preset)
    assert_same_model(tmp_path / "killed", tmp_path / "whole")
    assert read_model_manifest(f"{tmp_path}/killed") == read_model_manifest(f"{tmp_path}/whole")


def test_finished_stages_return_without_torch(toy_dataset: Dataset, detector: str, tmp_path: Path) -> None:
    masks = f"{tmp_path}/masks"
    train_masks(toy_dataset.uri, detector, masks, tiny(2))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    code = f"""
import sys
from tests.maskx_model.tiny_presets import tiny
from maskx_model.training.stages import train_detector, train_masks
train_detector({toy_dataset.uri!r}, {detector!r}, tiny({STEPS}, checkpoint_every=100))
train_masks({toy_dataset.uri!r}, {detector!r}, {masks!r}, tiny(2))
print([name for name in ("torch", "torchvision", "mlflow", "apache_beam") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    assert done.stderr.count("finished already") == 2
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_a_finished_model_that_lost_its_weights_is_trained_again(
    toy_dataset: Dataset, detector: str, tmp_path: Path
) -> None:
    for name in ("whole", "damaged"):
        train_masks(toy_dataset.uri, detector, f"{tmp_path}/{name}", tiny(2))
    (tmp_path / "damaged" / "model.safetensors").write_bytes(b"nonsense")
    with pytest.raises(CheckpointError, match=r"model.safetensors: missing or changed .*; train it again"):
        load_model(f"{tmp_path}/damaged")
    train_masks(toy_dataset.uri, detector, f"{tmp_path}/damaged", tiny(2))
    assert_same_model(tmp_path / "whole", tmp_path / "damaged")


def test_stage_2_leaves_the_detector_as_it_was_and_learns_masks(
    toy_dataset: Dataset, detector: str, tmp_path: Path
) -> None:
    preset = tiny_cached(STEPS, checkpoint_every=100)
    train_masks(toy_dataset.uri, detector, str(tmp_path), preset)
    before, after = weights(detector), weights(tmp_path)
    assert all(torch.equal(value, after[f"detector.{name}"]) for name, value in before.items())
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert lines[-2]["loss_mask"] < lines[0]["loss_mask"]
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


def test_a_detector_of_another_vocabulary_is_refused(toy_dataset: Dataset, detector: str, tmp_path: Path) -> None:
    loaded = load_model(detector)
    other = replace(loaded, vocabulary=Vocabulary(loaded.vocabulary.classes[::-1]))
    save_model(f"{tmp_path}/other", other, {"seed": 0})
    with pytest.raises(CheckpointError, match="other: was trained on another vocabulary"):
        train_masks(toy_dataset.uri, f"{tmp_path}/other", f"{tmp_path}/out", tiny(2))
    assert not Path(tmp_path, "out").exists()


def test_a_detector_of_another_preset_is_refused(toy_dataset: Dataset, detector: str, tmp_path: Path) -> None:
    other = replace(tiny(2), detector=replace(tiny(2).detector, box_dim=17))
    with pytest.raises(CheckpointError, match="its model is not that of preset tiny"):
        train_masks(toy_dataset.uri, detector, f"{tmp_path}/out", other)


def test_a_whole_model_in_place_of_a_detector_is_refused(toy_dataset: Dataset, detector: str, tmp_path: Path) -> None:
    train_masks(toy_dataset.uri, detector, f"{tmp_path}/masks", tiny(2))
    with pytest.raises(CheckpointError, match="masks: holds a mask branch already; name the detector of stage 1"):
        train_masks(toy_dataset.uri, f"{tmp_path}/masks", f"{tmp_path}/out", tiny(2))


def test_a_finished_model_is_not_replaced_by_another(toy_dataset: Dataset, detector: str, tmp_path: Path) -> None:
    out = str(tmp_path / "masks")
    train_masks(toy_dataset.uri, detector, out, tiny(2))
    before = read_model_manifest(out)
    with pytest.raises(CheckpointError, match="masks: holds a model of a training with another mask_classes; choose"):
        train_masks(toy_dataset.uri, detector, out, tiny(2), mask_classes="coco")
    assert read_model_manifest(out) == before
    assert load_model(out).vocabulary == toy_dataset.vocabulary


def test_a_missing_detector_is_refused(toy_dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"nowhere: no manifest.json, so no finished model"):
        train_masks(toy_dataset.uri, f"{tmp_path}/nowhere", f"{tmp_path}/out", tiny(2))


def test_a_folder_without_a_dataset_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no manifest.json, so no finished dataset; run `maskx data prepare`"):
        train_detector(str(tmp_path), f"{tmp_path}/out", tiny(2))
    assert not Path(tmp_path, "out").exists()


def test_a_source_that_the_dataset_lacks_is_refused(toy_dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no image of source 'lvis'"):
        train_detector(toy_dataset.uri, f"{tmp_path}/out", replace(tiny(2), stage1_source="lvis"))
    with pytest.raises(ConfigError, match="source 'vg' has no masks at all"):
        train_masks(toy_dataset.uri, "any", f"{tmp_path}/out", replace(tiny(2), stage2_source="vg"))


def test_a_diverged_training_says_so_and_its_checkpoint_is_not_gone_on_with_under_another_seed(
    toy_dataset: Dataset, tmp_path: Path
) -> None:
    diverging = replace(tiny(3), stage1=replace(tiny(3).stage1, learning_rates=(1e30,), clip_norm=None))
    with pytest.raises(MaskxError, match=r"stage 1, step [12] \(images (coco|vg)-\d+, .*\): the loss is not finite"):
        train_detector(toy_dataset.uri, str(tmp_path), diverging)
    assert not (tmp_path / "manifest.json").exists()
    with pytest.raises(CheckpointError, match="belongs to a training with another seed"):
        train_detector(toy_dataset.uri, str(tmp_path), diverging, seed=1)


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


def test_no_image_of_a_class_of_a_is_an_error(tmp_path: Path) -> None:
    records, _ = random_world(0, 6, NAMES)
    dataset = small_world(tmp_path, without(records, "cup"))
    (tmp_path / "a.txt").write_text("cup\n")
    with pytest.raises(DataError, match="no training image of source 'coco' shows a class of A"):
        train_masks(dataset, f"{tmp_path}/detector", f"{tmp_path}/out", tiny(1), mask_classes=f"{tmp_path}/a.txt")


def test_images_of_nothing_but_crowds_teach_nothing_and_do_no_harm(tmp_path: Path) -> None:
    whole = rle(torch.ones(120, 160, dtype=torch.bool).numpy())
    crowd = Annotation(1, "cup", (0, 0, 159, 119), 100.0, iscrowd=1, mask=whole)
    records = [Record(f"coco-{i:012d}", 160, 120, {"coco": i}, {"coco": [crowd]}) for i in range(1, 4)]
    dataset = small_world(tmp_path, records)
    train_masks(dataset, f"{tmp_path}/detector", f"{tmp_path}/sampled", tiny(2), mask_classes="coco")
    assert json.loads((tmp_path / "sampled/metrics.jsonl").read_text().splitlines()[0])["loss_mask"] == 0
    with pytest.raises(DataError, match="no object of A with a mask is left to train on"):
        train_masks(dataset, f"{tmp_path}/detector", f"{tmp_path}/cached", tiny_cached(2), mask_classes="coco")


def test_one_image_is_too_few_to_choose_a_learning_rate_by(tmp_path: Path) -> None:
    records, _ = random_world(0, 6, NAMES)
    dataset = small_world(tmp_path, [record for record in records if record.objects["coco"]][:1])
    with pytest.raises(DataError, match="only one image shows a class of A, too few to hold one back"):
        train_masks(dataset, f"{tmp_path}/detector", f"{tmp_path}/out", tiny_cached(1), mask_classes="coco")


def test_a_model_needs_its_mask_configuration() -> None:
    with pytest.raises(ValueError, match="needs a mask configuration"):
        MaskXRCNN(ModelConfig(tiny(1).detector), 3, nn.Identity())
