"""Which RoIs train the mask head: the detector's (the paper's way), ground-truth boxes, or those moved a little."""

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

from data_prep.format.reader import Dataset
from data_prep.format.records import Record
from maskx_model.artifacts.model_folder import LoadedModel
from maskx_model.artifacts.tensors import load_tensors
from maskx_model.config import ModelConfig
from maskx_model.data.reader import SampleReader
from maskx_model.masks.targets import mask_targets
from maskx_model.model.roi_heads import MatchedRois
from maskx_model.presets import PRESETS
from maskx_model.run_config import RunConfig
from maskx_model.schedules import MaskSchedule, RoiKind
from maskx_model.training.checkpoints import Checkpoints
from maskx_model.training.roi_sampling import JITTER, jittered, rois_with_masks, sampled_rois
from maskx_model.training.session import Session
from maskx_model.training.stage2 import fit_masks
from maskx_model.training.stages import train_detector, train_masks
from pipelines.cli import main
from tests.maskx_model.samples import busy_samples, frozen_detector, new_detector, read_sample, rle, sample
from tests.maskx_model.synthetic import random_world
from tests.maskx_model.synthetic_dataset import write_dataset
from tests.maskx_model.tiny_presets import DETECTOR, tiny, tiny_cached

KINDS: tuple[RoiKind, ...] = ("proposals", "gt", "jittered")
NAMES = ["cup", "tree", "dog", "car"]
IN_A = (0, 2)


def with_rois(preset: RunConfig, kind: RoiKind) -> RunConfig:
    return replace(preset, stage2=replace(preset.stage2, rois=kind))


def test_the_papers_way_is_the_default() -> None:
    assert MaskSchedule(steps=1).rois == "proposals"
    assert all(preset().stage2.rois == "proposals" for preset in PRESETS.values())


@pytest.mark.parametrize("cached_proposals", [None, 0, 2])
def test_ground_truth_is_each_objects_box_once(cached_proposals: int | None) -> None:
    samples = busy_samples(6, count=3)
    rois = sampled_rois(frozen_detector(), samples, cached_proposals, "gt")
    assert torch.equal(rois.labels, torch.cat([s.labels for s in samples]))
    expected = torch.cat([mask_targets(s.masks, s.boxes, torch.arange(4)) for s in samples])
    torch.testing.assert_close(rois.targets, expected, atol=2e-3, rtol=0)


@pytest.mark.parametrize(("cached_proposals", "copies"), [(None, 1), (0, 1), (2, 3)])
def test_jittered_boxes_are_of_every_object_and_none_is_the_ground_truth(
    cached_proposals: int | None, copies: int
) -> None:
    samples = busy_samples(6, count=3)
    rois = sampled_rois(frozen_detector(), samples, cached_proposals, "jittered")
    assert torch.equal(rois.labels, torch.cat([s.labels.repeat(copies) for s in samples]))
    expected = torch.cat(
        [mask_targets(s.masks * copies, s.boxes.repeat(copies, 1), torch.arange(4 * copies)) for s in samples]
    )
    moved = (rois.targets - expected).abs().mean(dim=(1, 2))
    assert bool((moved > 1e-3).all()) and bool((moved < 0.25).all())


def test_a_side_moves_by_at_most_a_tenth_and_stays_in_the_image() -> None:
    boxes = torch.tensor([[10.0, 20.0, 50.0, 40.0]]).repeat(2000, 1)
    torch.manual_seed(0)
    moved = jittered(boxes, (200, 200)) - boxes
    limit = JITTER * torch.tensor([40.0, 20.0, 40.0, 20.0])
    assert bool((moved.abs() <= limit + 1e-4).all()) and bool((moved.abs().amax(0) > 0.95 * limit).all())
    assert bool((moved.mean(0).abs() < 0.05 * limit).all())
    at_the_edge = jittered(torch.tensor([[0.0, 0.0, 60.0, 60.0]]).repeat(100, 1), (60, 60))
    assert bool((at_the_edge >= 0).all()) and bool((at_the_edge <= 60).all())


def test_jitter_is_a_function_of_the_seed() -> None:
    detector = frozen_detector()

    def draw(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return sampled_rois(detector, busy_samples(2), kind="jittered").targets

    assert torch.equal(draw(1), draw(1)) and not torch.equal(draw(1), draw(2))


def test_rois_are_kept_with_the_masks_of_their_objects_in_the_images_own_pixels() -> None:
    left = np.zeros((100, 60), bool)
    left[:, :30] = True
    image = sample([(0, 0, 60, 100), (0, 0, 30, 50)], [3, 4], [rle(left), None], size=(100, 60))
    chosen = MatchedRois(
        rois=[torch.tensor([[0.0, 0.0, 120.0, 200.0], [0.0, 0.0, 60.0, 100.0], [5.0, 5.0, 9.0, 9.0]])],
        matched=[torch.tensor([0, 1, 0])],
        labels=[torch.tensor([3, 4, 0])],
    )
    rois, labels, targets, _ = rois_with_masks([image], chosen, [(200, 120)])
    assert rois[0].tolist() == [[0.0, 0.0, 120.0, 200.0]] and labels.tolist() == [3]
    torch.testing.assert_close(targets, mask_targets(image.masks, image.boxes[:1], torch.tensor([0])))


def planted(records: list[Record]) -> list[Record]:
    """The same images, where each object of B has an absurd mask: noise over the whole image."""
    b = {name for i, name in enumerate(NAMES) if i not in IN_A}
    rng = np.random.default_rng(1)
    return [
        msgspec.structs.replace(
            record,
            objects={
                "coco": [
                    msgspec.structs.replace(a, mask=rle(rng.random((record.height, record.width)) > 0.5))
                    if a.category in b
                    else a
                    for a in record.objects["coco"]
                ]
            },
        )
        for record in records
    ]


class World:
    """Two datasets of the same images, the second with absurd masks of B; and what is learned from them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.records, _ = random_world(3, 12, NAMES)
        self.plain = write_dataset(folder / "plain", self.records, NAMES, split="train")
        self.absurd = write_dataset(
            folder / "absurd", self.records, NAMES, split="train", claimed=planted(self.records)
        )

    def weights(self, dataset: str, preset: RunConfig) -> dict[str, torch.Tensor]:
        data = Dataset.open(dataset)
        detector = LoadedModel(new_detector(len(data.vocabulary)), ModelConfig(DETECTOR), data.vocabulary, ())
        config = ModelConfig(DETECTOR, preset.mask)
        session = Session(Checkpoints(f"{self.folder}/{len(list(self.folder.iterdir()))}", {}))
        model, _ = fit_masks(data, detector, config, IN_A, preset, 0, session)
        return dict(model.mask_branch.state_dict())


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("planted"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("preset", [tiny(3), tiny_cached(3)], ids=["live", "cached"])
def test_no_weight_depends_on_a_mask_of_b(world: World, preset: RunConfig, kind: RoiKind) -> None:
    plain, absurd = (world.weights(uri, with_rois(preset, kind)) for uri in (world.plain, world.absurd))
    assert all(torch.equal(value, absurd[name]) for name, value in plain.items())


def test_the_absurd_masks_were_there_to_be_seen(world: World) -> None:
    plain, absurd = (
        [mask for row in data.rows for mask in read_sample(SampleReader(data, "coco", frozenset(range(4))), row).masks]
        for data in (Dataset.open(world.plain), Dataset.open(world.absurd))
    )
    different = sum(a != b for a, b in zip(plain, absurd, strict=True))
    assert 5 < different < len(plain) - 5


def test_the_command_line_chooses(toy_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PRESETS, "tiny", lambda: tiny(2))
    train_detector(toy_dataset.uri, f"{tmp_path}/detector", tiny(2))
    words = ["train", "masks", "--dataset", toy_dataset.uri, "--detector", f"{tmp_path}/detector", "--preset", "tiny"]
    for kind in KINDS:
        main([*words, "--out", f"{tmp_path}/{kind}", "--rois", kind])
        train_masks(toy_dataset.uri, f"{tmp_path}/detector", f"{tmp_path}/{kind}-2", with_rois(tiny(2), kind))
    found = {kind: load_tensors(f"{tmp_path}/{kind}/model.safetensors") for kind in KINDS}
    for kind in KINDS:
        expected = load_tensors(f"{tmp_path}/{kind}-2/model.safetensors")
        assert all(torch.equal(value, expected[name]) for name, value in found[kind].items())
    name = "mask_branch.features.0.weight"
    assert not torch.equal(found["gt"][name], found["proposals"][name])
    assert not torch.equal(found["gt"][name], found["jittered"][name])
