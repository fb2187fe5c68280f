"""From rows of AP on classes held out to an estimate on B, flags and a pick."""

from collections.abc import Sequence

import pytest

from maskx_model.study.estimate import VariantResult, best, results
from maskx_model.study.rows import Row

BOX_AP50 = {0: 20.0, 1: 10.0, 2: 30.0, 3: 40.0}
B = [3, 4]  # of which 4 has no object


def row(ap: dict[int, float]) -> Row:
    return Row(ap, {label: value + 30 for label, value in ap.items()})


def study(**variants: Sequence[dict[int, float]]) -> dict[str, VariantResult]:
    rows = {name: [row(ap) for ap in fold_ap] for name, fold_ap in variants.items()}
    return {each.name: each for each in results(rows, BOX_AP50, B)}


AGNOSTIC = [{0: 5.0, 1: 3.0}, {2: 6.0}]
TRANSFER = [{0: 10.0, 1: 5.0}, {2: 15.0}]


def test_mean_and_spread_are_over_folds_and_seeds() -> None:
    transfer = study(class_agnostic=AGNOSTIC, transfer=TRANSFER)["transfer"]
    assert transfer.rows == (7.5, 15.0)
    assert transfer.predicted.mean == 11.25
    assert transfer.predicted.deviation == pytest.approx(7.5 / 2**0.5)
    assert transfer.given.mean == 41.25 == transfer.given.on_b


def test_the_estimate_allows_for_how_well_the_detector_finds_b() -> None:
    # Half of box AP50 on the classes held out, whatever theirs is, and 40 on B.
    assert study(class_agnostic=AGNOSTIC, transfer=TRANSFER)["transfer"].predicted.on_b == pytest.approx(20)


def test_the_estimate_s_error_is_how_well_each_fold_is_foretold_by_the_others() -> None:
    # Per box AP50 {0, 1} have 0.5 and {2} has 0.25: 7.5 is foretold as 3.75, 7.5 as 15. The estimate is 3/8 of 40.
    found = study(class_agnostic=AGNOSTIC * 2, transfer=[{0: 10.0, 1: 5.0}, {2: 7.5}] * 2)["transfer"].predicted
    assert found.on_b == pytest.approx(15)
    assert found.error == pytest.approx(15 * ((3.75**2 + 7.5**2) / 2) ** 0.5 / 7.5)


def test_of_a_single_fold_no_error_can_be_told() -> None:
    assert study(class_agnostic=[{0: 5.0, 1: 3.0}] * 3)["class_agnostic"].predicted.error is None


def test_where_no_fold_has_any_ap_no_error_can_be_told() -> None:
    nothing = study(class_agnostic=AGNOSTIC, transfer=[{0: 0.0, 1: 0.0}, {2: 0.0}])["transfer"].predicted
    assert nothing.on_b == 0.0 and nothing.error is None


@pytest.mark.parametrize("box_ap50", [{0: 20.0, 1: 10.0, 2: 30.0}, dict.fromkeys(range(4), 0.0)])
def test_without_box_ap50_the_estimate_is_the_mean_over_folds(box_ap50: dict[int, float]) -> None:
    rows = {"class_agnostic": [row(ap) for ap in AGNOSTIC]}
    (agnostic,) = results(rows, box_ap50, B)
    assert agnostic.predicted.on_b == agnostic.predicted.mean == 5.0


def test_variants_not_clearly_above_the_class_agnostic_head_are_flagged_and_never_picked() -> None:
    found = study(
        class_agnostic=AGNOSTIC,
        above=[{0: 9.0, 1: 7.0}, {2: 9.5}],
        mixed=[{0: 30.0, 1: 20.0}, {2: 5.0}],
        below=[{0: 1.0, 1: 0.0}, {2: 0.0}],
    )
    assert {name for name, each in found.items() if each.flagged} == {"mixed", "below"}
    assert found["mixed"].margin == pytest.approx(10)
    assert found["mixed"].margin_error == pytest.approx(11)
    assert best(tuple(found.values())).name == "above"


def test_seeds_of_a_fold_are_averaged_before_folds_are_compared() -> None:
    one, another = [{0: 9.0, 1: 7.0}, {2: 5.0}], [{0: 7.0, 1: 5.0}, {2: 6.5}]
    found = study(class_agnostic=AGNOSTIC * 2, mixed=one + another)["mixed"]
    assert found.margin == pytest.approx((3 - 0.25) / 2)  # 8 and 6 against 4, 5 and 6.5 against 6
    assert found.margin_error == pytest.approx((3 + 0.25) / 2)
    assert found.flagged
    assert found.rows == (8.0, 5.0, 6.0, 6.5)


def test_the_pick_is_best_on_predicted_and_given_boxes_together() -> None:
    agnostic = [Row({0: 1.0}, {0: 10.0}), Row({2: 1.0}, {2: 10.0})]
    slightly_better = [Row({0: 6.1}, {0: 30.0}), Row({2: 6.1}, {2: 30.0})]
    much_better = [Row({0: 6.0}, {0: 40.0}), Row({2: 6.0}, {2: 40.0})]
    rows = {"class_agnostic": agnostic, "cls": slightly_better, "box": much_better}
    assert best(results(rows, BOX_AP50, B)).name == "box"


def test_where_all_are_flagged_the_class_agnostic_head_is_picked() -> None:
    assert best(tuple(study(class_agnostic=AGNOSTIC, randn=[{0: 0.0, 1: 0.0}, {2: 0.0}]).values())).name == (
        "class_agnostic"
    )
