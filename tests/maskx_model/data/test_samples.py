"""The loader: an order that is a function of seed and step, one source's annotations, and mirrors."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from data_prep.format.reader import Dataset
from data_prep.format.records import Annotation, Record
from data_prep.storage.errors import DataError
from maskx_model.data.loader import TrainingBatches
from maskx_model.data.reader import SampleReader
from maskx_model.data.samples import Sample, mirrored, to_tensor
from maskx_model.data.training_order import POOL, training_order
from maskx_model.model.crowds import CROWD_LABEL
from tests.maskx_model.samples import bitmap, busy_samples, read_sample, rle
from tests.maskx_model.synthetic import random_world
from tests.maskx_model.synthetic_dataset import write_dataset

NAMES = ["cup", "tree", "dog"]


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """24 images of three classes; the vocabulary has a fourth, which is Visual Genome's alone."""
    folder = tmp_path_factory.mktemp("loader") / "data"
    records, _ = random_world(0, 24, NAMES)
    return Dataset.open(write_dataset(folder, records, NAMES, split="train"))


def equal(a: Sample, b: Sample) -> bool:
    return (
        a.key == b.key
        and np.array_equal(a.image, b.image)
        and torch.equal(a.boxes, b.boxes)
        and torch.equal(a.labels, b.labels)
        and a.masks == b.masks
    )


@pytest.mark.parametrize("count", [1, 15, 16, 17, POOL, 3 * POOL + 5])
def test_every_epoch_visits_every_image_once(count: int) -> None:
    for epoch in range(3):
        assert sorted(training_order(count, 0, epoch)) == list(range(count))


def test_the_order_differs_between_epochs_and_seeds_and_is_the_same_again() -> None:
    orders = [tuple(training_order(100, seed, epoch)) for seed in range(3) for epoch in range(3)]
    assert len(set(orders)) == 9
    assert tuple(training_order(100, 2, 1)) == orders[7]


def test_neighbours_on_disk_are_read_near_each_other() -> None:
    order = training_order(10 * POOL, 0, 0)
    blocks = [len(set(pool // 16)) for pool in np.split(order, 10)]
    assert blocks == [POOL // 16] * 10


def test_a_batch_is_a_function_of_its_step_alone(synthetic: Dataset) -> None:
    rows = synthetic.select("train", "coco")

    def batches() -> TrainingBatches:
        return TrainingBatches(SampleReader(synthetic, "coco", frozenset({0, 1})), rows, 5, seed=3, flip=True)

    in_order, one_at_a_time = batches(), batches()
    expected = [in_order[step] for step in range(12)]
    for step in (11, 4, 0, 7):
        assert all(equal(a, b) for a, b in zip(one_at_a_time[step], expected[step], strict=True))


def test_batches_run_through_all_images_before_any_comes_again(synthetic: Dataset) -> None:
    rows = synthetic.select("train", "coco")
    batches = TrainingBatches(SampleReader(synthetic, "coco"), rows, 5, seed=0, flip=False)
    keys = [sample.key for step in range(24) for sample in batches[step]]  # 120 = 5 epochs of 24, across batches
    for start in range(0, 120, 24):
        assert Counter(keys[start : start + 24]) == Counter(row.key for row in rows)
    assert keys[:24] != keys[24:48]


def test_about_half_are_mirrored_and_not_the_same_ones_in_every_epoch(synthetic: Dataset) -> None:
    rows = synthetic.select("train", "coco")
    reader = SampleReader(synthetic, "coco")
    plain, flipped = (TrainingBatches(reader, rows, 24, seed=0, flip=flip) for flip in (False, True))
    epochs = []
    for epoch in range(4):
        pairs = zip(plain[epoch], flipped[epoch], strict=True)
        epochs.append({a.key for a, b in pairs if not np.array_equal(a.image, b.image)})
    assert 4 * 6 < sum(map(len, epochs)) < 4 * 18
    assert epochs[0] != epochs[1]


def test_mirrored_twice_is_the_same_image() -> None:
    for sample in busy_samples(0, count=4):
        once = mirrored(sample)
        assert not np.array_equal(once.image, sample.image)
        twice = mirrored(once)
        torch.testing.assert_close(twice.boxes, sample.boxes)
        assert np.array_equal(twice.image, sample.image) and twice.masks == sample.masks


def test_masks_and_boxes_go_along_into_the_mirror() -> None:
    (sample,) = busy_samples(1, count=1)
    once = mirrored(sample)
    for before, after, box in zip(sample.masks, once.masks, once.boxes, strict=True):
        assert before is not None and after is not None
        assert np.array_equal(bitmap(after), bitmap(before)[:, ::-1])
        columns = np.flatnonzero(bitmap(after).any(axis=0))
        assert abs(columns[0] - box[0]) < 2 and abs(columns[-1] + 1 - box[2]) < 2
    assert torch.equal(once.labels, sample.labels)


def test_a_mirrored_image_without_masks_has_none() -> None:
    (sample,) = busy_samples(1, count=1)
    hidden = Sample(sample.key, sample.image, sample.boxes, sample.labels, (None,) * 4)
    assert mirrored(hidden).masks == (None,) * 4


def record_of(*objects: Annotation) -> Record:
    return Record("coco-000000000001", 60, 40, {"coco": 1}, {"coco": list(objects)})


def thing(category: str, bbox: tuple[float, float, float, float], iscrowd: int = 0) -> Annotation:
    return Annotation(1, category, bbox, 1.0, iscrowd, rle(np.ones((40, 60), dtype=bool)))


def test_boxes_are_clipped_to_the_image_and_empty_ones_left_out(synthetic: Dataset) -> None:
    record = record_of(
        thing("cup", (-5, -5, 30, 20)),
        thing("tree", (50, 30, 30, 30)),
        thing("dog", (60, 0, 5, 5)),
        thing("dog", (10, 10, 0, 5)),
        thing("dog", (10.5, 10.25, 20, 5)),
    )
    sample = SampleReader(synthetic, "coco").from_record(np.zeros((40, 60, 3), np.uint8), record)
    assert sample.boxes.tolist() == [[0, 0, 25, 15], [50, 30, 60, 40], [10.5, 10.25, 30.5, 15.25]]
    assert sample.labels.tolist() == [1, 2, 3]


def test_classes_outside_the_vocabulary_are_left_out_and_crowds_have_their_own_label(synthetic: Dataset) -> None:
    record = record_of(
        thing("zebra", (0, 0, 9, 9)), thing("dog", (0, 0, 9, 9), iscrowd=1), thing("rare.n.01", (0, 0, 9, 9))
    )
    sample = SampleReader(synthetic, "coco", frozenset({2})).from_record(np.zeros((40, 60, 3), np.uint8), record)
    assert sample.labels.tolist() == [CROWD_LABEL]
    assert sample.masks == (None,)


def test_only_masks_of_the_classes_asked_for_come_through(synthetic: Dataset) -> None:
    record = record_of(thing("cup", (0, 0, 9, 9)), thing("dog", (0, 0, 9, 9)), thing("tree", (0, 0, 9, 9)))
    reader = SampleReader(synthetic, "coco", frozenset({2}))
    masks = reader.from_record(np.zeros((40, 60, 3), np.uint8), record).masks
    assert [mask is not None for mask in masks] == [False, True, False]


def test_a_source_has_its_own_objects_and_names(toy_dataset: Dataset) -> None:
    row = next(row for row in toy_dataset.select("train", "coco") if "vg" in row.ids)
    names = toy_dataset.vocabulary.names
    record = toy_dataset.read_record(row)
    for source in ("coco", "vg"):
        sample = read_sample(SampleReader(toy_dataset, source), row)
        objects = [a for a in record.objects[source] if not a.iscrowd]
        expected = [toy_dataset.vocabulary.find(a.category) for a in objects]
        assert [label - 1 for label in sample.labels.tolist() if label > 0] == expected
        assert all(position is not None and names[position] for position in expected)


def test_an_image_without_objects_gives_empty_boxes(synthetic: Dataset) -> None:
    sample = SampleReader(synthetic, "coco").from_record(np.zeros((40, 60, 3), np.uint8), record_of())
    assert sample.boxes.shape == (0, 4) and sample.boxes.dtype == torch.float32
    assert sample.labels.shape == (0,) and sample.labels.dtype == torch.int64
    assert mirrored(sample).boxes.shape == (0, 4)


def test_pixels_become_floats_in_the_networks_order() -> None:
    image = np.zeros((2, 3, 3), np.uint8)
    image[1, 2] = (255, 51, 0)
    tensor = to_tensor(image)
    assert tensor.shape == (3, 2, 3) and tensor.dtype == torch.float32
    torch.testing.assert_close(tensor[:, 1, 2], torch.tensor([1.0, 0.2, 0.0]))


def test_a_split_or_source_that_is_not_there_is_said_so(toy_dataset: Dataset) -> None:
    there = r"the dataset has split 'train' of sources coco, vg; split 'val' of sources coco, vg"
    with pytest.raises(DataError, match=f"split 'test' has no image of source 'coco'; {there}"):
        toy_dataset.select("test", "coco")
    with pytest.raises(DataError, match=f"split 'train' has no image of source 'lvis'; {there}"):
        toy_dataset.select("train", "lvis")
    with pytest.raises(DataError, match="no source 'lvis'; the dataset's sources are coco, vg"):
        toy_dataset.check_source("lvis")


def test_a_shard_that_was_cut_is_named(synthetic: Dataset, tmp_path: Path) -> None:
    row = synthetic.rows[-1]
    cut = tmp_path / "data"
    (cut / "train").mkdir(parents=True)
    for name in ("manifest.json", "index.parquet", "vocabulary.json"):
        (cut / name).write_bytes(Path(synthetic.uri, name).read_bytes())
    (cut / row.shard).write_bytes(Path(synthetic.uri, row.shard).read_bytes()[: row.image_offset + 10])
    with pytest.raises(DataError, match=r"coco-000000.tar: ends at byte \d+"):
        read_sample(SampleReader(Dataset.open(str(cut)), "coco"), row)
