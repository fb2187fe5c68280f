"""The fingerprint of ground truth: equal for the same validation records, whatever the vocabulary's order."""

from dataclasses import replace

import pytest

from data_prep.format.records import Annotation, Record
from maskx_model.evaluation.ground_truth import GroundTruth, fingerprint

NAMES = ["cat", "cup", "dog"]
CUP = Annotation(7, "cup", (1.0, 2.0, 3.0, 4.0), 12.0)


def ground_truth_of(names: list[str]) -> GroundTruth:
    """The same image's objects with classes numbered in the order of `names`."""
    negative = frozenset(names.index(name) for name in ("cat", "dog"))
    return GroundTruth(1, 20, 30, (names.index("cup"),), (CUP,), negative, negative)


def test_more_training_images_reorder_the_vocabulary_and_change_no_fingerprint() -> None:
    expected = fingerprint([ground_truth_of(NAMES)], NAMES)
    for names in (["dog", "cat", "cup"], ["cup", "dog", "cat", "new"]):
        assert fingerprint([ground_truth_of(names)], names) == expected


def test_another_object_class_or_image_is_another_fingerprint() -> None:
    annotated = ground_truth_of(NAMES)
    others = (
        replace(annotated, image_id=2),
        replace(annotated, labels=(0,)),
        replace(annotated, objects=(), labels=()),
        replace(annotated, negative=frozenset({0})),
        replace(annotated, not_exhaustive=frozenset()),
    )
    assert len({fingerprint([each], NAMES) for each in (annotated, *others)}) == 1 + len(others)


@pytest.mark.parametrize(
    ("original", "expected"),
    [(None, 7), ("site-3/0007", "site-3/0007"), (str(2**60), 2**60), ("-4", -4), ("1", 7)],
)
def test_results_have_the_id_that_the_file_has(original: str | None, expected: int | str) -> None:
    """`1` was replaced because another image of the source has it: two images of one id would be one in results."""
    original_ids = {} if original is None else {"mine": original}
    record = Record("mine-000000000007", 40, 30, {"mine": 7}, {"mine": []}, original_ids=original_ids)
    assert GroundTruth.of(record, "mine", {}).listed_id == expected
