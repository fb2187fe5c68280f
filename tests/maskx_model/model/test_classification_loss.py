"""The box head's classification losses: all classes, a sample of them, or what is known of them in each image."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import msgspec
import pytest
import torch
from torch import Tensor, nn

from data_prep.format.reader import Dataset
from data_prep.storage.errors import ConfigError
from maskx_model.artifacts.model_folder import load_model
from maskx_model.artifacts.tensors import load_tensors
from maskx_model.config import ClassificationLossKind, Compute, DetectorConfig
from maskx_model.data.reader import SampleReader
from maskx_model.data.samples import mirrored
from maskx_model.model.classification_loss import (
    ClassificationLoss,
    ClassSampler,
    choose_loss,
    federated_loss,
    image_counts_by_label,
    sampled_loss,
    softmax_loss,
)
from maskx_model.model.crowds import CROWD_LABEL
from maskx_model.presets import PRESETS
from maskx_model.schedules import Schedule
from maskx_model.training.detector_step import detector_step
from maskx_model.training.provenance import settings_hash
from maskx_model.training.stages import train_masks
from pipelines.cli import main
from tests.maskx_model.samples import busy_samples, new_detector, read_sample, rows_with_gradient, sample
from tests.maskx_model.synthetic import random_world
from tests.maskx_model.synthetic_dataset import write_dataset
from tests.maskx_model.tiny_presets import tiny

CLASSES, WIDTH = 12, 6
SAMPLED: tuple[ClassificationLossKind, ...] = ("sampled", "federated")


def sampler(count: int) -> ClassSampler:
    return ClassSampler.of(torch.arange(CLASSES + 1) ** 2, count)


def losses(count: int) -> dict[str, ClassificationLoss]:
    drawn = {"sampled": partial(sampled_loss, sampler(count)), "federated": partial(federated_loss, sampler(count))}
    return {"softmax": softmax_loss, **drawn}


def target(
    labels: Sequence[int], negative: Sequence[int] = (), not_exhaustive: Sequence[int] = ()
) -> dict[str, Tensor]:
    lists = {"labels": labels, "negative": negative, "not_exhaustive": not_exhaustive}
    return {name: torch.tensor(each, dtype=torch.int64) for name, each in lists.items()}


def features_and_classifier(rois: int) -> tuple[Tensor, nn.Linear]:
    torch.manual_seed(0)
    classifier = nn.Linear(WIDTH, CLASSES + 1)
    return torch.randn(rois, WIDTH, requires_grad=True), classifier


def run(
    loss: ClassificationLoss, labels: Sequence[Sequence[int]], targets: Sequence[dict[str, Tensor]]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The loss, and the gradients of features, rows and biases."""
    features, classifier = features_and_classifier(sum(map(len, labels)))
    torch.manual_seed(1)
    value = loss(classifier, features, [torch.tensor(each, dtype=torch.int64) for each in labels], targets)
    of_features, of_rows, of_biases = torch.autograd.grad(value, [features, classifier.weight, classifier.bias])
    return value, of_features, of_rows, of_biases


LABELS = [[3, 0, 7, 0], [0, 3], [0, 0, 12]]
TARGETS = [target([3, 7]), target([3, 5, CROWD_LABEL], negative=[1, 8]), target([12], [2, 9], [12])]


@pytest.mark.parametrize(("name", "expected"), [("softmax", 2.556925), ("sampled", 2.072163), ("federated", 1.591564)])
def test_golden_numbers(name: str, expected: float) -> None:
    assert run(losses(4)[name], LABELS, TARGETS)[0].item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("name", SAMPLED)
def test_with_every_class_in_the_sample_it_is_the_plain_cross_entropy(name: str) -> None:
    targets = [target([3, 7]), target([3]), target([12])]
    plain, ours = (run(losses(CLASSES)[each], LABELS, targets) for each in ("softmax", name))
    for ours_one, plain_one in zip(ours, plain, strict=True):
        torch.testing.assert_close(ours_one, plain_one, atol=1e-6, rtol=1e-6)


def test_federated_is_the_plain_cross_entropy_too_where_all_other_classes_are_known_to_be_absent() -> None:
    everything = range(1, CLASSES + 1)
    targets = [target(own, [c for c in everything if c not in own]) for own in ([3, 7], [3], [12])]
    for ours, plain in zip(run(losses(1)["federated"], LABELS, targets), run(softmax_loss, LABELS, []), strict=True):
        torch.testing.assert_close(ours, plain, atol=1e-6, rtol=1e-6)


def test_a_sampled_loss_leaves_all_rows_outside_the_sample_alone() -> None:
    _, _, weight, bias = run(losses(4)["sampled"], LABELS, TARGETS)
    touched = rows_with_gradient(weight)
    assert {0, 3, 7, 12} < touched and len(touched) == 4 + 4
    assert touched == set(bias.nonzero()[:, 0].tolist())


def test_a_federated_loss_touches_what_is_known_in_an_image() -> None:
    _, _, weight, _ = run(losses(4)["federated"], LABELS[1:], TARGETS[1:])
    assert rows_with_gradient(weight) == {0, 3, 5, 1, 8, 12, 2, 9}


def test_a_federated_loss_is_each_rois_own_softmax_over_what_counts_there() -> None:
    features, classifier = features_and_classifier(5)
    logits = classifier(features)
    # Of each RoI: its label, and the labels in its softmax by its image's annotations and lists.
    of_rois = [(0, [0, 3, 5, 1, 8]), (3, [0, 3, 5, 1, 8]), (0, [0, 2, 9]), (0, [0, 2, 9]), (12, [0, 2, 9, 12])]
    by_hand = [-logits[i, counted].log_softmax(0)[counted.index(label)] for i, (label, counted) in enumerate(of_rois)]
    value = run(losses(4)["federated"], LABELS[1:], TARGETS[1:])[0]
    torch.testing.assert_close(value, torch.stack(by_hand).mean())


def test_a_class_that_is_not_annotated_exhaustively_is_no_negative_where_nothing_matched() -> None:
    _, _, weight, bias = run(losses(4)["federated"], [[0, 0]], [target([4, 6], [9], [6, 9])])
    assert rows_with_gradient(weight) == {0, 4}
    assert bias[6] == bias[9] == 0
    # An object of another class does count against it, and its own pull it up.
    _, _, _, bias = run(losses(4)["federated"], [[0, 4]], [target([4, 6], [9], [6])])
    assert bias[6] > 0 > bias[4]
    _, _, _, bias = run(losses(4)["federated"], [[0, 6]], [target([4, 6], [9], [6])])
    assert bias[6] < 0 < bias[4]


@pytest.mark.parametrize("name", SAMPLED)
def test_without_an_object_background_is_separated_from_the_classes_drawn(name: str) -> None:
    value, _, weight, bias = run(losses(4)[name], [[0, 0], []], [target([]), target([], [], [3])])
    assert torch.isfinite(value) and bias[0] < 0
    assert 5 <= len(rows_with_gradient(weight)) <= 9


def test_more_images_mean_more_draws_by_their_root_and_no_class_is_left_out() -> None:
    drawn = ClassSampler.of(torch.tensor([50, 1, 16, 100, 0]), 1)
    torch.manual_seed(0)
    counts = torch.cat([drawn.others(torch.tensor([3])) for _ in range(6000)]).bincount(minlength=5)
    assert counts[0] == counts[3] == 0
    assert (counts / 1000).tolist() == pytest.approx([0, 1, 4, 0, 1], abs=0.15)
    assert sorted(sampler(50).others(torch.tensor([2])).tolist()) == [1, *range(3, CLASSES + 1)]
    assert len(sampler(50).others(torch.arange(1, CLASSES + 1))) == 0


def test_frequencies_are_the_images_that_show_a_class(toy_dataset: Dataset) -> None:
    rows, vocabulary = toy_dataset.select("train", "coco"), toy_dataset.vocabulary
    counts = image_counts_by_label(rows, "coco", vocabulary)
    assert counts.shape == (len(vocabulary) + 1,) and counts[0] == 0
    for name, position in vocabulary.index("coco").items():
        assert counts[position + 1] == sum(name in row.classes["coco"] for row in rows)
    assert choose_loss(DetectorConfig(), rows, "coco", vocabulary) is softmax_loss


def test_what_a_record_lists_reaches_the_target(tmp_path: Path) -> None:
    names = ["cup", "tree", "dog"]
    records, _ = random_world(0, 2, names)
    told = [
        msgspec.structs.replace(records[0], negative={"coco": ["dog", "not of the vocabulary", "cup"]}),
        msgspec.structs.replace(records[1], not_exhaustive={"coco": ["tree"], "vg": ["cup"]}),
    ]
    data = Dataset.open(write_dataset(tmp_path, records, names, "train", claimed=told))
    first, second = (read_sample(SampleReader(data, "coco"), row) for row in data.select("train", "coco"))
    assert (first.negative, first.not_exhaustive) == ((1, 3), ())
    assert (second.negative, second.not_exhaustive) == ((), (2,))
    seen = mirrored(first).target()
    assert seen["negative"].tolist() == [1, 3] and seen["not_exhaustive"].dtype == torch.int64


@pytest.mark.parametrize("name", SAMPLED)
def test_only_the_classification_of_a_whole_detector_changes(name: str) -> None:
    runs = []
    for loss in (softmax_loss, losses(1)[name]):
        detector = new_detector(CLASSES)
        torch.manual_seed(0)
        runs.append(detector_step(detector, busy_samples(0), 1.0, loss).losses)
    plain, ours = runs
    assert {each for each in plain if not torch.equal(plain[each], ours[each])} == {"loss_classifier"}
    assert 0 < ours["loss_classifier"] < plain["loss_classifier"]


@pytest.mark.parametrize("name", SAMPLED)
def test_empty_images_train_on_and_crowds_that_leave_no_roi_give_zero(name: str) -> None:
    detector = new_detector(CLASSES)
    empty = replace(sample([], []), negative=(2, 5))
    values = detector_step(detector, [empty, sample([], [], size=(50, 90))], 1.0, losses(4)[name]).losses
    assert values["loss_classifier"] > 0
    full = sample([(0, 0, 64, 64)], [CROWD_LABEL])
    values = detector_step(detector, [full, full], 1.0, losses(4)[name]).losses
    assert values["loss_classifier"] == 0 and values["loss_classifier"].requires_grad


@pytest.mark.parametrize("name", SAMPLED)
def test_the_command_line_trains_with_it_and_stage_2_goes_on_from_there(
    toy_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: ClassificationLossKind
) -> None:
    monkeypatch.setitem(PRESETS, "tiny", lambda: tiny(3))
    words = ["--dataset", toy_dataset.uri, "--preset", "tiny"]
    loss = ["--classification-loss", name, "--loss-classes", "3"]
    for out, options in (("a", loss), ("again", loss), ("plain", [])):
        main(["train", "detector", *words, "--out", f"{tmp_path}/{out}", *options])
    ours, again, plain = (load_tensors(f"{tmp_path}/{out}/model.safetensors") for out in ("a", "again", "plain"))
    assert all(torch.equal(value, again[key]) for key, value in ours.items())
    assert any(not torch.equal(value, plain[key]) for key, value in ours.items())
    config = load_model(f"{tmp_path}/a").config.detector
    assert (config.classification_loss, config.loss_classes) == (name, 3)
    train_masks(toy_dataset.uri, f"{tmp_path}/a", f"{tmp_path}/masks", tiny(1))
    assert load_model(f"{tmp_path}/masks").config.mask is not None
    main(["train", "joint", *words, "--out", f"{tmp_path}/joint", "--mask-classes", "random:30:0", *loss])
    assert load_model(f"{tmp_path}/joint").config.detector.classification_loss == name


def test_nothing_is_drawn_for_the_plain_loss() -> None:
    words = ["train", "detector", "--dataset", "d", "--out", "o", "--loss-classes", "3"]
    with pytest.raises(SystemExit, match="--loss-classes: loss softmax draws none"):
        main(words)
    with pytest.raises(ConfigError, match="loss_classes: at least one class is needed, got 0"):
        DetectorConfig(loss_classes=0)


def test_every_setting_counts_whether_it_is_the_default_or_not() -> None:
    config, schedule = DetectorConfig(), Schedule(steps=7)
    others = (replace(config, classification_loss="sampled"), replace(config, classification_loss="federated"))
    assert len({settings_hash(each, schedule) for each in (config, *others)}) == 3
    assert settings_hash(config, replace(schedule, compute=Compute("bf16"))) != settings_hash(config, schedule)
    before = msgspec.to_builtins(config)
    for name in before:
        without = {key: value for key, value in before.items() if key != name}
        assert settings_hash(config) != settings_hash(without), f"{name} is left out of the hash"
