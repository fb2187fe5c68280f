"""Masks from boxes by colour: right where colours tell, and defined where they do not."""

import re
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from data_prep.format.reader import Dataset
from data_prep.format.records import Record
from data_prep.storage.errors import ConfigError
from maskx_model.artifacts.model_folder import LoadedModel
from maskx_model.config import ModelConfig
from maskx_model.data.reader import SampleReader
from maskx_model.masks.grabcut import grabcut_masks
from maskx_model.report.evaluate import evaluate
from maskx_model.run_config import RunConfig
from maskx_model.schedules import MaskTargets
from maskx_model.training.checkpoints import Checkpoints
from maskx_model.training.session import Session
from maskx_model.training.stage2 import fit_masks
from tests.maskx_model.samples import bitmap, new_detector, read_sample
from tests.maskx_model.synthetic import random_world
from tests.maskx_model.synthetic_dataset import write_dataset, write_model
from tests.maskx_model.tiny_presets import DETECTOR, tiny, tiny_cached


def disc(centre: tuple[int, int], radius: int, size: tuple[int, int] = (60, 80)) -> npt.NDArray[np.bool_]:
    y, x = np.mgrid[: size[0], : size[1]]
    inside: npt.NDArray[np.bool_] = (y - centre[0]) ** 2 + (x - centre[1]) ** 2 < radius**2
    return inside


def picture(shape: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """A red shape on grey, with noise."""
    image = np.random.default_rng(0).integers(90, 120, (*shape.shape, 3))
    image[shape] += [100, -60, -60]
    return image.astype(np.uint8)


def box_of(shape: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    rows, columns = np.flatnonzero(shape.any(1)), np.flatnonzero(shape.any(0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float32)


@pytest.mark.parametrize("centre", [(30, 40), (4, 40), (30, 77), (55, 3)])
def test_a_shape_is_found_in_its_box_inside_and_at_the_border(centre: tuple[int, int]) -> None:
    shape = disc(centre, 15)
    (mask,), filled = grabcut_masks(picture(shape), box_of(shape)[None])
    found = bitmap(mask)
    assert found.shape == shape.shape
    assert (found & shape).sum() / (found | shape).sum() > 0.95
    assert filled == 0


def test_masks_are_the_same_again_and_in_any_order() -> None:
    shapes = [disc((20, 20), 12), disc((40, 60), 9)]
    image, boxes = picture(shapes[0] | shapes[1]), np.stack([box_of(shape) for shape in shapes])
    assert grabcut_masks(image, boxes).masks == grabcut_masks(image, boxes[::-1]).masks[::-1]


@pytest.mark.parametrize(
    ("box", "area"),
    [((10, 10, 13, 40), 90), ((0, 0, 80, 60), 4800), ((9.5, 9.5, 12.5, 12.5), 16), ((70, 50, 72.5, 90), 30)],
)
def test_a_box_that_tells_nothing_is_filled_and_counted(box: tuple[float, ...], area: int) -> None:
    (mask,), filled = grabcut_masks(picture(disc((30, 40), 15)), np.array([box]))
    assert (filled, bitmap(mask).sum()) == (1, area)


def test_an_image_of_one_colour_fills_the_box() -> None:
    (mask,), filled = grabcut_masks(np.full((40, 40, 3), 7, np.uint8), np.array([[10.0, 10, 30, 20]]))
    assert bitmap(mask).sum() in {200, 200 * filled}


def test_a_box_outside_the_image_is_empty() -> None:
    (mask,), filled = grabcut_masks(picture(disc((30, 40), 15)), np.array([[90.0, 70, 95, 75]]))
    assert (filled, bitmap(mask).sum()) == (1, 0)


def test_no_box_gives_no_mask() -> None:
    assert grabcut_masks(picture(disc((30, 40), 15)), np.zeros((0, 4))) == ([], 0)


@settings(max_examples=40, deadline=None)
@given(
    arrays.arrays(np.uint8, (12, 16, 3)),
    arrays.arrays(np.float64, (2, 2), elements=st.floats(-5, 20)),
    arrays.arrays(np.float64, (2, 2), elements=st.floats(0, 15)),
)
def test_any_box_of_any_image_has_a_mask_within_it(
    image: npt.NDArray[np.uint8], corner: npt.NDArray[np.float64], sides: npt.NDArray[np.float64]
) -> None:
    boxes = np.concatenate([corner, corner + sides], axis=1)
    for mask, (x1, y1, x2, y2) in zip(grabcut_masks(image, boxes).masks, boxes, strict=True):
        found = bitmap(mask)
        assert found.shape == (12, 16)
        rows, columns = np.nonzero(found)
        assert ((columns + 1 > x1) & (columns < x2) & (rows + 1 > y1) & (rows < y2)).all()
        touched = min(x2, 16) > max(x1, 0) and min(y2, 12) > max(y1, 0)
        assert found.any() or not touched


NAMES = ["cup", "dog", "cat"]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`val`, ellipses of one colour each, and `detector` and `transfer`, which share a detector. `train` and `lied`:
    the same images to train on, but in the latter every object has another one's mask."""
    folder = tmp_path_factory.mktemp("world")
    records = random_world(0, 8, NAMES)[0]
    write_dataset(folder / "val", records, NAMES)
    write_dataset(folder / "train", records, NAMES, split="train")
    write_dataset(folder / "lied", records, NAMES, split="train", claimed=[with_one_mask(record) for record in records])
    write_model(folder / "detector", NAMES, None)
    write_model(folder / "transfer", NAMES, "transfer")
    return folder


def with_one_mask(record: Record) -> Record:
    """Every object has the mask of the first."""
    objects = record.objects["coco"]
    same = [msgspec.structs.replace(thing, mask=objects[0].mask) for thing in objects]
    return msgspec.structs.replace(record, objects={"coco": same})


def test_a_detectors_boxes_are_segmented(world: Path, caplog: pytest.LogCaptureFixture) -> None:
    result = evaluate(f"{world}/detector", f"{world}/val", f"{world}/out", masks="grabcut")
    assert list(result.ap) == ["grabcut"]
    on_given = result.ap_gt_boxes["grabcut"]["all"]
    assert on_given is not None and on_given > 20
    told = re.search(r"no foreground in (\d+) of (\d+) boxes", caplog.text)
    assert told and 0 < int(told[1]) < int(told[2])
    assert (world / "out/predictions-grabcut.json").stat().st_size > 100


def test_of_a_whole_model_its_detector_and_its_split_are_used(world: Path) -> None:
    detector = evaluate(f"{world}/detector", f"{world}/val", f"{world}/out", masks="grabcut")
    whole = evaluate(f"{world}/transfer", f"{world}/val", f"{world}/out-whole", masks="grabcut")
    assert whole.ap == detector.ap
    assert [c.set for c in whole.per_class] == ["A", "B", "B"]


def test_no_baseline_is_segmented_beside_it(world: Path) -> None:
    with pytest.raises(ConfigError, match="--masks grabcut: segments one model's boxes"):
        evaluate(f"{world}/transfer", f"{world}/val", f"{world}/no", f"{world}/transfer", masks="grabcut")


def test_targets_are_made_of_boxes_of_all_classes(world: Path) -> None:
    data = Dataset.open(f"{world}/train")
    overlaps = []
    for row in data.rows:
        annotated = read_sample(SampleReader(data, "coco", frozenset(range(3))), row)
        made = read_sample(SampleReader(data, "coco", frozenset({0}), "grabcut"), row)
        assert [mask is None for mask in made.masks] == (made.labels < 1).tolist()  # crowds alone have none
        pairs = [(a, b) for a, b in zip(made.masks, annotated.masks, strict=True) if a and b]
        overlaps += [(bitmap(a) & bitmap(b)).sum() / (bitmap(a) | bitmap(b)).sum() for a, b in pairs]
    assert np.mean(overlaps) > 0.6


@pytest.mark.parametrize("preset", [tiny(2), tiny_cached(2)], ids=["live", "cached"])
def test_training_towards_them_sees_no_annotated_mask(world: Path, preset: RunConfig, tmp_path: Path) -> None:
    def weights(name: str, targets: MaskTargets) -> torch.Tensor:
        data = Dataset.open(f"{world}/{name}")
        detector = LoadedModel(new_detector(len(data.vocabulary)), ModelConfig(DETECTOR), data.vocabulary, ())
        chosen = replace(preset, stage2=replace(preset.stage2, targets=targets))
        config = ModelConfig(DETECTOR, replace(preset.mask, kind="class_specific"))
        session = Session(Checkpoints(f"{tmp_path}/{name}-{targets}", {}))
        model, _ = fit_masks(data, detector, config, (0,), chosen, 0, session)
        learned: torch.Tensor = model.mask_branch.state_dict()["weights"]
        return learned

    assert torch.equal(weights("train", "grabcut"), weights("lied", "grabcut"))
    assert not torch.equal(weights("train", "masks"), weights("lied", "masks"))
    # Of B's classes too.
    assert not torch.equal(weights("train", "grabcut")[2], weights("train", "masks")[2])
