"""Samples read ahead are those read one by one, in the order that was asked for."""

from pathlib import Path

import numpy as np
import pytest

from data_prep.format.read_at_once import Stretch
from data_prep.format.reader import Dataset
from data_prep.storage.errors import DataError
from maskx_model.data import samples_ahead as ahead
from maskx_model.data.read_blocks import RawSample, read_stretch
from maskx_model.data.reader import SampleReader
from maskx_model.data.samples_ahead import AHEAD, AT_ONCE, samples_ahead
from tests.maskx_model.data.test_loader import NAMES, all_equal, damaged
from tests.maskx_model.samples import read_sample
from tests.maskx_model.synthetic import random_world
from tests.maskx_model.synthetic_dataset import write_dataset

IMAGES = 3 * AHEAD + 5


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    records, _ = random_world(0, IMAGES, NAMES)
    return Dataset.open(write_dataset(tmp_path_factory.mktemp("ahead") / "data", records, NAMES, split="train"))


@pytest.mark.parametrize("order", [range(IMAGES), np.random.default_rng(0).permutation(IMAGES).tolist(), []])
def test_they_are_those_read_one_by_one(data: Dataset, order: list[int]) -> None:
    rows, reader = data.select("train", "coco"), SampleReader(data, "coco", frozenset({0, 1}))
    expected = [read_sample(reader, rows[number]) for number in order]
    found = list(samples_ahead(reader, (rows[number] for number in order)))
    assert all_equal([each for each in found if not isinstance(each, DataError)], expected)


def test_neighbors_come_with_one_read_and_no_more_than_asked_for_is_read(
    data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[int] = []

    def counted(data: Dataset, stretch: Stretch, numbers: list[int]) -> list[RawSample | DataError]:
        reads.append(len(numbers))
        return read_stretch(data, stretch, numbers)

    monkeypatch.setattr(ahead, "read_stretch", counted)
    rows, reader = data.select("train", "coco"), SampleReader(data, "coco")
    samples = samples_ahead(reader, rows)
    assert len(list(samples)) == IMAGES
    assert sorted(reads, reverse=True) == [AT_ONCE] * (IMAGES // AT_ONCE) + [IMAGES % AT_ONCE]
    reads.clear()
    alone = samples_ahead(reader, (rows[number] for number in reversed(range(IMAGES))))
    next(alone)
    alone.close()
    assert len(reads) <= AHEAD + 1


def test_a_damaged_image_is_an_error_in_its_place(data: Dataset, tmp_path: Path) -> None:
    copy = damaged(data, tmp_path / "data", [3, 20])
    rows, reader = copy.select("train", "coco"), SampleReader(copy, "coco")
    found = list(samples_ahead(reader, rows))
    assert [number for number, each in enumerate(found) if isinstance(each, DataError)] == [3, 20]
    assert rows[20].key in str(found[20])
