"""Ranks share each batch: who has which image changes with their number, the batches do not."""

import pytest

from data_prep.format.reader import Dataset
from data_prep.storage.errors import ConfigError
from maskx_model.data.loader import TrainingBatches
from maskx_model.data.reader import SampleReader


def batches(data: Dataset, rank: int, ranks: int, images: int = 4) -> TrainingBatches:
    rows = data.select("train", "coco")
    return TrainingBatches(SampleReader(data, "coco"), rows, images, seed=2, flip=True, rank=rank, ranks=ranks)


@pytest.mark.parametrize("ranks", [2, 4])
def test_the_slices_of_all_ranks_are_the_batch(toy_dataset: Dataset, ranks: int) -> None:
    alone, shared = batches(toy_dataset, 0, 1), [batches(toy_dataset, rank, ranks) for rank in range(ranks)]
    for step in (0, 11):
        parts = [each[step] for each in shared]
        assert {len(part) for part in parts} == {4 // ranks}
        together = [sample for part in parts for sample in part]
        assert [sample.key for sample in together] == [sample.key for sample in alone[step]]
        assert all((a.image == b.image).all() for a, b in zip(together, alone[step], strict=True))


@pytest.mark.parametrize(("images", "fitting"), [(10, "8 or 12 would fit"), (3, "4 would fit")])
def test_a_batch_that_ranks_cannot_share_evenly_is_refused(toy_dataset: Dataset, images: int, fitting: str) -> None:
    with pytest.raises(ConfigError, match=f"images_per_batch: 4 ranks cannot share {images} images evenly; {fitting}"):
        batches(toy_dataset, 0, 4, images)
