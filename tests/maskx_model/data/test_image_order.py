"""Which images a batch has: groups of one shape, repeats of rare classes, and every step found at once."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.format.index import IndexRow, write_index
from data_prep.format.mapped_index import map_index
from data_prep.format.rows import Rows
from maskx_model.data.image_order import ImageOrder, image_order
from maskx_model.data.image_stream import ImageStream
from maskx_model.data.repeat_factors import repeat_factors
from maskx_model.data.training_order import POOL

KNOWN = frozenset({"common", "rare", "rarest"})
SIZES = st.lists(st.integers(1, 3 * POOL), min_size=1, max_size=2)


def order_of(sizes: list[int], batch: int, seed: int = 0) -> ImageOrder:
    groups = np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1])
    return ImageOrder([ImageStream(images, seed, group=group) for group, images in enumerate(groups)], batch)


@given(SIZES, st.integers(1, 9), st.integers(0, 500))
@settings(deadline=None, max_examples=60)
def test_a_step_has_the_next_images_of_one_group(sizes: list[int], batch: int, first: int) -> None:
    order = order_of(sizes, batch)
    seen: dict[int, int] = {}
    for step in range(first, first + 30):
        places = [order.place(number) for number in range(step * batch, step * batch + batch)]
        (group,) = {place.group for place in places}
        numbers = [place.number for place in places]
        assert numbers == list(range(numbers[0], numbers[0] + batch)) and numbers[0] % batch == 0
        assert seen.get(group, numbers[0]) == numbers[0]
        seen[group] = numbers[-1] + 1


@given(SIZES, st.integers(1, 4), st.integers(1, 4), st.integers(0, 300))
@settings(deadline=None, max_examples=40)
def test_the_pools_of_some_steps_are_their_samples(sizes: list[int], share: int, ranks: int, first: int) -> None:
    batch, steps = share * ranks, range(first, first + 90)
    order = order_of(sizes, batch)
    for rank in range(ranks):
        own = range(rank * share, (rank + 1) * share)
        pools = list(order.pools(steps, own))
        expected = [step * batch + slot for step in steps for slot in own]
        assert sorted(number for pool in pools for number in pool) == expected
        assert [pool[0] for pool in pools] == sorted(pool[0] for pool in pools)
        for pool in pools:
            assert len(pool) <= POOL and len({order.place(number).group for number in pool}) == 1


def test_each_image_of_a_group_comes_once_in_its_epoch() -> None:
    order = order_of([120, 30], 10)
    images = [order.image(order.place(number)) for number in range(3 * 150)]
    assert set(Counter(images).values()) == {3}


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Rows:
    """400 images: every fourth is higher than wide, one in 20 shows `rare`, one in 100 `rarest` too."""
    uri = f"{tmp_path_factory.mktemp('order')}/index.parquet"
    write_index(uri, map(_row, range(400)))
    return Rows.of(map_index(uri))


def _row(number: int) -> IndexRow:
    shown = {"common", "unknown"} if number % 20 else {"common", "rare"} if number % 100 else {"rare", "rarest"}
    width, height = (480, 640) if number % 4 == 3 else (640, 480)
    classes = {"own": sorted(shown)}
    return IndexRow(str(number), "train", "own", "s", 0, 1, 2, 3, width, height, {"own": 1}, None, None, classes)


def test_wide_and_high_images_are_in_batches_of_their_own(rows: Rows) -> None:
    order = image_order(rows, "own", KNOWN, 8, 5, by_shape=True, threshold=0)
    plain = image_order(rows, "own", KNOWN, 8, 5, by_shape=False, threshold=0)
    images = [[order.image(order.place(8 * step + slot)) for slot in range(8)] for step in range(200)]
    assert all(len({image % 4 == 3 for image in batch}) == 1 for batch in images)
    assert Counter(batch[0] % 4 == 3 for batch in images[:100]) == {False: 75, True: 25}
    assert set(Counter(image for batch in images for image in batch).values()) == {4}
    assert any(len({plain.image(plain.place(8 * step + slot)) % 4 == 3 for slot in range(8)}) == 2 for step in range(5))


def test_images_of_rare_classes_are_repeated_by_the_root_of_their_rarity(rows: Rows) -> None:
    factors = repeat_factors(rows, "own", KNOWN, 0.2)
    assert factors[0] == pytest.approx((0.2 / 0.01) ** 0.5)
    assert factors[20] == pytest.approx((0.2 / 0.05) ** 0.5)
    assert factors[1] == 1  # a class that the vocabulary lacks does not count


def test_an_epoch_with_repeats_is_exact_and_as_long_as_any_other(rows: Rows) -> None:
    order = image_order(rows, "own", KNOWN, 8, 5, by_shape=False, threshold=0.2)
    (stream,) = order.streams
    factors = repeat_factors(rows, "own", KNOWN, 0.2)
    assert len(stream) == np.ceil(factors.sum())
    epochs = [Counter(stream.image(epoch * len(stream) + at) for at in range(len(stream))) for epoch in range(20)]
    for counts in epochs:
        assert all(int(factors[image]) <= counts[image] <= int(factors[image]) + 2 for image in range(400))
    assert np.mean([counts[0] for counts in epochs]) == pytest.approx(factors[0], abs=0.4)
    assert epochs[3] == Counter(stream.image(3 * len(stream) + at) for at in range(len(stream)))


def test_groups_and_repeats_go_together(rows: Rows) -> None:
    order = image_order(rows, "own", KNOWN, 8, 5, by_shape=True, threshold=0.2)
    images = [order.image(order.place(number)) for number in range(sum(map(len, order.streams)) + 16)]
    assert set(images) == set(range(400)) and Counter(images)[0] >= 4
