"""Batches made ahead are those made one at a time; neighbors come with one read; damaged images are replaced."""

import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from msgspec import structs

from data_prep.format.read_at_once import stretches
from data_prep.format.reader import Dataset
from data_prep.format.records import encode_record
from data_prep.storage.errors import DataError
from maskx_model.data.loader import TrainingBatches, load_batches
from maskx_model.data.loading import PLAIN, Loading
from maskx_model.data.read_blocks import BlockReader, RawSample, read_stretch
from maskx_model.data.reader import SampleReader
from maskx_model.data.samples import Sample, mirrored
from maskx_model.data.seeds import numbered_generator
from maskx_model.data.training_order import BLOCK, POOL, training_order
from tests.maskx_model.samples import read_sample
from tests.maskx_model.synthetic import random_world
from tests.maskx_model.synthetic_dataset import write_dataset

NAMES = ["cup", "tree", "dog"]
IMAGES = POOL + 44
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """More images than a pool has."""
    records, _ = random_world(0, IMAGES, NAMES)
    return Dataset.open(write_dataset(tmp_path_factory.mktemp("loader") / "data", records, NAMES, split="train"))


def batches(data: Dataset, size: int = 7, rank: int = 0, ranks: int = 1, loading: Loading = PLAIN) -> TrainingBatches:
    rows = data.select("train", "coco")
    return TrainingBatches(SampleReader(data, "coco", frozenset({0, 1})), rows, size, 3, True, rank, ranks, loading)


def equal(a: Sample, b: Sample) -> bool:
    same_boxes = torch.equal(a.boxes, b.boxes) and torch.equal(a.labels, b.labels)
    return a.key == b.key and np.array_equal(a.image, b.image) and same_boxes and a.masks == b.masks


def all_equal(some: list[Sample], others: list[Sample]) -> bool:
    return all(equal(a, b) for a, b in zip(some, others, strict=True))


def test_a_batch_is_read_image_by_image_in_the_order_of_its_epoch(data: Dataset) -> None:
    rows = data.select("train", "coco")
    reader = SampleReader(data, "coco", frozenset({0, 1}))
    step = IMAGES // 7  # across the end of an epoch
    expected = []
    for number in range(step * 7, step * 7 + 7):
        epoch, position = divmod(number, IMAGES)
        sample = read_sample(reader, rows[int(training_order(IMAGES, 3, epoch)[position])])
        expected.append(mirrored(sample) if numbered_generator(3, number).random() < 0.5 else sample)
    assert all_equal(batches(data)[step], expected)


def test_batches_made_ahead_are_those_made_one_at_a_time(data: Dataset) -> None:
    alone = batches(data)
    for start in (0, 40):  # 40 · 7 is in the epoch's second pool
        for step, batch in enumerate(load_batches(batches(data), range(start, start + 5), CPU), start):
            assert all_equal(batch, alone[step])


def test_a_process_that_decodes_holds_no_index(data: Dataset) -> None:
    samples = batches(data)
    assert samples[0]  # what it has read does not travel
    assert len(pickle.dumps(samples.decoder)) < 4000


def test_a_pool_is_read_with_a_request_a_block(data: Dataset) -> None:
    """The synthetic images are small, and neighboring blocks of a pool become one read."""
    samples = batches(data, size=16)
    planned = list(BlockReader(data, samples.rows, samples.order, range(16), range(16))._stretches)
    assert sum(len(numbers) for numbers, _ in planned) == POOL
    assert len(planned) <= POOL // BLOCK
    keys = {row.key for _, stretch in planned for row in stretch.rows}
    assert keys == {sample.key for step in range(16) for sample in samples[step]}


def test_ranks_together_read_each_image_once(data: Dataset) -> None:
    read = []
    for rank in range(4):
        samples = batches(data, 8, rank, 4)
        planned = BlockReader(data, samples.rows, samples.order, range(32), samples.own)._stretches
        read += [row.key for _, stretch in planned for row in stretch.rows]
    assert len(read) == len(set(read)) == POOL


def test_a_stretch_ends_where_a_row_stands_elsewhere(data: Dataset) -> None:
    rows = data.select("train", "coco")
    far = rows.take(np.array([0, 1, 2, IMAGES - 1, 5, 6]))
    assert [len(stretch.rows) for stretch in stretches(far)] == [3, 1, 2]


def damaged(data: Dataset, folder: Path, positions: list[int]) -> Dataset:
    """A copy in which these images' bytes are no JPEG."""
    shutil.copytree(data.uri, folder)
    rows = data.select("train", "coco")
    with (folder / rows[0].shard).open("r+b") as shard:
        for position in positions:
            shard.seek(rows[position].image_offset + 200)
            shard.write(bytes(rows[position].image_length - 200))
    return Dataset.open(str(folder))


def test_the_next_image_of_the_order_takes_a_damaged_ones_place(
    data: Dataset, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    order = training_order(IMAGES, 3, 0).tolist()
    copy = damaged(data, tmp_path / "data", [order[9], order[10]])
    loading = replace(PLAIN, max_set_aside=0.01)
    whole = [sample.key for step in range(3) for sample in batches(data)[step]]
    found = [s.key for batch in load_batches(batches(copy, loading=loading), range(3), CPU) for s in batch]
    assert found == [*whole[:9], whole[11], whole[11], *whole[11:]]
    told = [record.getMessage() for record in caplog.records]
    assert [f"set aside, {count} of {IMAGES} training images so far" in text for count, text in enumerate(told, 1)]
    assert len(told) == 2 and f"{copy.uri}/train/coco-000000.tar: {data.rows[order[9]].key}: not a readable" in told[0]
    alone = batches(copy, loading=loading)
    assert [sample.key for sample in alone[1]] == found[7:14]  # whatever was met before


def test_too_many_damaged_images_stop_the_training(data: Dataset, tmp_path: Path) -> None:
    order = training_order(IMAGES, 3, 0).tolist()
    copy = damaged(data, tmp_path / "data", order[:4])
    message = (
        r"data: 4 of 300 training images cannot be read, more than max_set_aside \(0.01 of them\) allows; the last"
    )
    with pytest.raises(DataError, match=message):
        list(load_batches(batches(copy), range(3), CPU))


def test_a_shard_that_was_cut_short_costs_only_what_is_behind_the_cut(data: Dataset, tmp_path: Path) -> None:
    shutil.copytree(data.uri, tmp_path / "data")
    rows = data.select("train", "coco")
    with (tmp_path / "data" / rows[0].shard).open("r+b") as shard:
        shard.truncate(rows[IMAGES // 2].image_offset + 100)
    copy = Dataset.open(f"{tmp_path}/data")
    samples = batches(copy, loading=replace(PLAIN, max_set_aside=0.6))
    left = {row.key for row in rows[: IMAGES // 2]}
    shown = {sample.key for batch in load_batches(samples, range(-(-IMAGES // 7)), CPU) for sample in batch}
    assert shown == left


def test_where_no_image_can_be_read_the_training_ends(data: Dataset, tmp_path: Path) -> None:
    copy = damaged(data, tmp_path / "data", list(range(20)))
    rows = copy.select("train", "coco")[:20]
    samples = TrainingBatches(SampleReader(copy, "coco"), rows, 4, 0, False, loading=replace(PLAIN, max_set_aside=1.0))
    with pytest.raises(DataError, match="no training image can be read; the first"):
        samples[0]


def test_a_record_of_another_image_is_damage(data: Dataset) -> None:
    (stretch,) = stretches(data.rows[:2])
    raw, other = read_stretch(data, stretch, [0, 1])
    assert isinstance(raw, RawSample) and isinstance(other, RawSample)
    found = batches(data).decoder.decode(raw._replace(row=other.row))
    assert isinstance(found, DataError) and f"the record of {raw.row.key} stands there; index and shard" in str(found)


def test_an_image_of_another_size_than_its_record_says_is_damage(data: Dataset) -> None:
    (stretch,) = stretches(data.rows[:1])
    (raw,) = read_stretch(data, stretch, [0])
    assert isinstance(raw, RawSample)
    record = structs.replace(data.read_record(raw.row), width=77)
    found = batches(data).decoder.decode(raw._replace(record=encode_record(record)))
    assert isinstance(found, DataError) and "but its record says 77 ×" in str(found)
