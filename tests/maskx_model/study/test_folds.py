"""A's classes in folds."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.storage.errors import ConfigError
from maskx_model.study.folds import NothingToHoldOutError, listed_folds, random_folds
from tests.maskx_model.synthetic_dataset import vocabulary_of

VOCABULARY = vocabulary_of(["cup", "dog", "cat", "bus", "car"])


@given(st.sets(st.integers(0, 3000), min_size=2, max_size=90), st.data())
def test_random_folds_split_all_classes_evenly(classes: set[int], data: st.DataObject) -> None:
    count = data.draw(st.integers(2, len(classes)))
    folds = random_folds(sorted(classes), count)
    assert sorted(label for fold in folds for label in fold) == sorted(classes)
    assert {len(fold) for fold in folds} <= {len(classes) // count, len(classes) // count + 1}
    assert folds == random_folds(sorted(classes), count)


@pytest.mark.parametrize("count", [0, 1])
def test_folds_that_cannot_be_made_are_refused(count: int) -> None:
    with pytest.raises(ConfigError, match=rf"folds: at least 2 are needed, {count} was requested"):
        random_folds(range(5), count)


def test_of_few_classes_each_is_a_fold_and_one_is_too_few() -> None:
    assert random_folds([1, 3, 7], 4) == ((7,), (1,), (3,))
    with pytest.raises(NothingToHoldOutError, match="to measure by: 1; at least 2 are needed"):
        random_folds([1], 4)


def write(folder: Path, name: str, *classes: str) -> str:
    (folder / name).write_text("\n".join(classes))
    return str(folder / name)


def test_folds_are_listed_in_files(tmp_path: Path) -> None:
    files = [write(tmp_path, "pets", "dog", "cat"), write(tmp_path, "traffic", "bus", "car")]
    assert listed_folds(files, [1, 2, 3, 4], VOCABULARY, "coco") == ((1, 2), (3, 4))


def test_listed_folds_must_fit(tmp_path: Path) -> None:
    pets, dog = write(tmp_path, "pets", "dog", "cat"), write(tmp_path, "dog", "dog")
    with pytest.raises(ConfigError, match="'cat' is not among the mask classes"):
        listed_folds([pets], [0, 1], VOCABULARY, "coco")
    with pytest.raises(ConfigError, match=r"'dog' is in fold '.*pets' too"):
        listed_folds([pets, dog], [0, 1, 2], VOCABULARY, "coco")
    with pytest.raises(ConfigError, match="holds all mask classes, so none is left"):
        listed_folds([pets], [1, 2], VOCABULARY, "coco")
