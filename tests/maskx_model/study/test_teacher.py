"""Masks that another program made, beside T's: measured on the same boxes, and trusted where they are better."""

import msgspec
import pytest

from data_prep.format.records import Annotation, Record
from data_prep.format.rle import decode_mask, encode_bitmap
from data_prep.storage.errors import DataError
from maskx_model.evaluation.ground_truth import GroundTruth
from maskx_model.study.estimate import Estimate, Holdout, VariantResult
from maskx_model.study.holdout import results_table
from maskx_model.study.page import holdout_page
from maskx_model.study.rows import Row
from maskx_model.study.teacher import TeacherFold, compare_folds, teacher_ap
from tests.maskx_model.synthetic import random_world

NAMES = ["cup", "zebra", "apple"]


def made(annotation: Annotation) -> Annotation:
    """The object with a mask that a program made: right for cups, mirrored for zebras, none for apples."""
    assert annotation.mask
    right = annotation.mask
    masks = {"cup": right, "zebra": encode_bitmap(decode_mask(right)[::-1, ::-1]), "apple": None}
    return msgspec.structs.replace(annotation, mask=masks[annotation.category], provenance="sam", mask_score=0.9)


LABELS = {name: i for i, name in enumerate(NAMES)}


def taught() -> list[Record]:
    return [
        msgspec.structs.replace(
            record, objects={**record.objects, "sam": [made(a) for a in record.objects["coco"] if not a.iscrowd]}
        )
        for record in random_world(0, 20, NAMES)[0]
    ]


def test_right_masks_have_all_of_ap_and_missing_ones_none() -> None:
    records = taught()
    truth = [GroundTruth.of(record, "coco", LABELS) for record in records]
    ap = teacher_ap(records, truth, "sam", LABELS, range(len(NAMES)))
    assert ap[0] > 99
    assert ap[1] < 60
    assert ap[2] == 0


def test_a_source_without_masks_on_the_images_is_told() -> None:
    with pytest.raises(DataError, match="source 'you' has no mask on the measured images"):
        teacher_ap(taught(), [], "you", LABELS, range(len(NAMES)))


def test_the_better_one_is_trusted_fold_by_fold_on_classes_that_both_have() -> None:
    rows = [Row({0: 1.0}, {0: 40.0, 1: 60.0}), Row({0: 1.0}, {0: 60.0, 1: 60.0}), Row({2: 1.0}, {2: 30.0})]
    compared = compare_folds([(0, 1), (2,)], rows, {0: 80.0, 2: 20.0}, NAMES)
    assert compared == (TeacherFold(("cup",), 50.0, 80.0), TeacherFold(("apple",), 30.0, 20.0))
    assert [fold.trusted for fold in compared] == ["teacher", "T"]


def test_the_comparison_is_in_the_table_and_on_the_page() -> None:
    estimate = Estimate(20.0, 1.0, 18.0, 2.0)
    variant = VariantResult("cls", estimate, estimate, 3.0, 1.0, False, (20.0,))
    fold = TeacherFold(("cup", "zebra", "apple", "<b>"), 31.25, 62.5)
    result = Holdout((variant,), "cls", {"held out": 30.0, "B": None}, (("cup",),), (0,), {}, (fold,))
    assert "cup, zebra, apple, …" in results_table(result)
    assert "31.2      62.5  teacher" in results_table(result)
    page = holdout_page(result)
    assert "62.5" in page
    assert "cup, zebra, apple, &lt;b&gt;" in page
