"""A training on images from which nothing can be learned is refused before it begins."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from data_prep.format.reader import Dataset
from data_prep.format.records import Annotation, Record
from data_prep.storage.errors import DataError
from maskx_model.data.reader import SampleReader
from maskx_model.data.training_images import training_images
from maskx_model.presets import get_preset
from maskx_model.run_config import RunConfig
from maskx_model.training.stage2 import rows_with_masks
from maskx_model.training.stages import train_detector, train_joint
from tests.maskx_model.synthetic import HEIGHT, WIDTH, random_world
from tests.maskx_model.synthetic_dataset import write_dataset
from tests.maskx_model.tiny_presets import tiny

NAMES = ["cat", "dog"]


def records(changed: dict[str, object] | None) -> list[Record]:
    """Images of the source `coco` whose objects are changed; None: without objects."""
    found = []
    for record in random_world(3, 8, NAMES)[0]:
        objects: list[Annotation] = []
        if changed is not None:
            objects = [msgspec.structs.replace(each, **{"iscrowd": 0, **changed}) for each in record.objects["coco"]]
        found.append(Record(record.key, WIDTH, HEIGHT, record.ids, {"coco": objects}))
    return found


def dataset(folder: Path, changed: dict[str, object] | None) -> str:
    """Its training images are shown as they were, with other annotations beside them."""
    return write_dataset(folder / "data", records(changed), NAMES, "train")


NOTHING = [
    (None, r"none of the 8 training images of source 'coco' has an object of the dataset's classes"),
    ({"category": "unicorn"}, r"none of the 8 training images of source 'coco' has an object"),
    ({"iscrowd": 1}, r"all \d+ objects of source 'coco' in the training images are crowds \(iscrowd 1\)"),
]


@pytest.mark.parametrize(("changed", "message"), NOTHING, ids=["no objects", "unknown classes", "crowds"])
def test_images_without_anything_to_learn_are_refused(
    tmp_path: Path, changed: dict[str, object] | None, message: str
) -> None:
    data = dataset(tmp_path, changed)
    with pytest.raises(DataError, match=message):
        training_images(Dataset.open(data), "coco")


@pytest.mark.parametrize("train", [train_detector, train_joint])
def test_no_training_begins_on_crowds_alone(tmp_path: Path, train: Callable[[str, str, RunConfig], None]) -> None:
    """It is refused before the backbone's weights are loaded."""
    preset = replace(tiny(2), stage1_source="coco", mask_classes="coco")
    preset = replace(preset, detector=replace(get_preset("coco_r50").detector, weights=f"{tmp_path}/none.pth"))
    with pytest.raises(DataError, match="are crowds"):
        train(dataset(tmp_path, {"iscrowd": 1}), f"{tmp_path}/out", preset)
    assert not (tmp_path / "out").exists()


def test_masks_of_other_splits_train_nothing(tmp_path: Path) -> None:
    data = Dataset.open(dataset(tmp_path, {}))
    reader = SampleReader(data, "coco", frozenset({0, 1}))
    assert rows_with_masks(data, "coco", reader, (0, 1))
    unmasked = Dataset(data.uri, msgspec.structs.replace(data.manifest, counts={"val": {"coco": {"coco_masks": 9}}}))
    with pytest.raises(DataError, match="no training image of source 'coco' has a mask, only those of other splits"):
        rows_with_masks(unmasked, "coco", reader, (0, 1))
