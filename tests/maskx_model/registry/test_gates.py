"""The gates: each compares figures with one number of the configuration, and says what it found."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.storage.errors import ConfigError
from maskx_model.configure.choose import choose_named
from maskx_model.registry.gates import NAMES, Figures, Rival, Verdict, ask
from maskx_model.run_config import GatesConfig

OWN = {"mask_ap_a": 30.0, "mask_ap_b": 20.0, "mask_ap": 25.0, "box_ap": 28.0, "over_baseline_b": 5.0}


def verdicts(config: GatesConfig, own: Figures, champion: Figures | None) -> dict[str, Verdict]:
    rival = None if champion is None else Rival("7", champion)
    return {verdict.gate: verdict for verdict in ask(config, own, rival)}


def passed(config: GatesConfig, own: Figures, champion: Figures | None) -> dict[str, bool]:
    return {gate: verdict.passed for gate, verdict in verdicts(config, own, champion).items()}


def test_a_model_as_good_as_the_champion_passes_each_gate_that_is_asked() -> None:
    assert passed(GatesConfig(), OWN, OWN) == {"a": True, "b": True, "baseline": True}


def test_without_a_champion_the_bar_of_the_run_itself_remains() -> None:
    assert passed(GatesConfig(), OWN, None) == {"a": True, "b": True, "baseline": True}
    assert passed(GatesConfig(), {**OWN, "over_baseline_b": -0.1}, None)["baseline"] is False


@pytest.mark.parametrize(("a", "expected"), [(29.5, True), (29.49, False)])
def test_a_may_lose_up_to_the_tolerance(a: float, expected: bool) -> None:
    verdict = verdicts(GatesConfig(a_tolerance=0.5), {**OWN, "mask_ap_a": a}, OWN)["a"]
    assert (verdict.passed, verdict.limit) == (expected, 29.5)
    assert (
        verdict.reason
        == f"its mask AP on A is {a:.2f}, the champion's 30.00, a difference of at least -0.5 is required"
    )
    assert verdict.figures == {"mask_ap_a": a, "champion_mask_ap_a": 30.0}


@pytest.mark.parametrize(("b", "expected"), [(21.0, True), (20.99, False)])
def test_b_must_gain(b: float, expected: bool) -> None:
    assert passed(GatesConfig(b_gain=1.0), {**OWN, "mask_ap_b": b}, OWN)["b"] is expected


@pytest.mark.parametrize(
    ("own", "champion", "compared"),
    [
        ({"mask_ap_b": 9.0, "estimate_b": 50.0, "mask_ap": 40.0}, {"mask_ap_b": 10.0, "mask_ap": 30.0}, "mask_ap_b"),
        ({"estimate_b": 9.0, "mask_ap": 40.0}, {"estimate_b": 10.0, "mask_ap": 30.0}, "estimate_b"),
        ({"estimate_b": 9.0, "mask_ap": 31.0}, {"mask_ap_b": 10.0, "mask_ap": 30.0}, "mask_ap"),
        ({"box_ap": 1.0}, {"box_ap": 2.0}, "box_ap"),
    ],
)
def test_for_b_stands_the_first_figure_that_both_have(own: Figures, champion: Figures, compared: str) -> None:
    verdict = verdicts(GatesConfig(), own, champion)["b"]
    assert set(verdict.figures) == {compared, f"champion_{compared}"}
    assert NAMES[compared] in verdict.reason
    assert verdict.passed == (own[compared] >= champion[compared])


def test_a_figure_that_is_missing_keeps_its_gate_closed_and_is_named() -> None:
    found = verdicts(GatesConfig(), {}, OWN)
    assert [verdict.passed for verdict in found.values()] == [False] * 3
    assert found["a"].reason == (
        "mask AP on A or box AP on all classes was not measured for both versions; evaluate both on the same images"
    )
    remedy = "evaluate it with --baseline on images with masks, or set gates.over_baseline to null"
    assert remedy in found["baseline"].reason


def test_where_no_mask_was_measured_boxes_stand_for_a() -> None:
    found = verdicts(GatesConfig(a_tolerance=0.5), {"box_ap": 19.6}, {"box_ap": 20.0})
    assert found["a"].passed and found["a"].figures == {"box_ap": 19.6, "champion_box_ap": 20.0}


def test_a_champion_that_cannot_be_compared_keeps_both_gates_closed_with_the_reason() -> None:
    found = ask(GatesConfig(), OWN, Rival("7", {}, "version 7 has another vocabulary"))
    assert [(verdict.gate, verdict.passed) for verdict in found] == [("a", False), ("b", False), ("baseline", True)]
    assert {verdict.reason for verdict in found[:2]} == {"version 7 has another vocabulary"}


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ({"over_baseline_b": 1.0, "estimate_margin": 9.0}, False),
        ({"over_baseline_b": 2.0}, True),
        ({"estimate_margin": 1.0, "over_baseline": 9.0}, False),
        ({"over_baseline": 2.0}, True),
    ],
)
def test_the_bar_is_over_the_baseline_on_b_else_on_held_out_classes(own: Figures, expected: bool) -> None:
    assert passed(GatesConfig(over_baseline=2.0), own, None)["baseline"] is expected


def test_costs_are_compared_with_each_limit_that_is_set() -> None:
    own = {**OWN, "seconds": 0.5, "memory": 3.0}
    assert "cost" not in passed(GatesConfig(), own, None)
    assert passed(GatesConfig(max_seconds=0.5), own, None)["cost"]
    verdict = verdicts(GatesConfig(max_seconds=0.5, max_memory=2.9), own, None)["cost"]
    assert not verdict.passed
    assert (
        verdict.reason
        == "it takes 0.5 s an image, at most 0.5 is allowed; it takes 3 GB of memory, at most 2.9 is allowed"
    )
    assert verdict.figures == {"seconds": 0.5, "memory": 3.0}


def test_a_gate_without_its_number_is_off() -> None:
    off = GatesConfig(a_tolerance=None, b_gain=None, over_baseline=None)
    assert ask(off, {}, Rival("7", OWN)) == ()


@given(st.dictionaries(st.sampled_from(sorted(NAMES)), st.floats(0, 100)), st.floats(0, 5), st.floats(0, 5))
def test_a_better_model_passes_where_a_worse_one_does(champion: Figures, tolerance: float, gain: float) -> None:
    config = GatesConfig(a_tolerance=tolerance, b_gain=gain, over_baseline=None)
    better = {name: value + 6 for name, value in champion.items()}
    rival = Rival("7", champion)
    for worse, best in zip(ask(config, champion, rival), ask(config, better, rival), strict=True):
        assert best.passed >= worse.passed


def test_they_stand_in_the_configuration_and_are_set_like_any_field() -> None:
    config = choose_named("toy", ["gates.b_gain=1.5", "gates.over_baseline=null", "gates.approval=true"])
    assert config.gates == replace(GatesConfig(), b_gain=1.5, over_baseline=None, approval=True)
    with pytest.raises(ConfigError, match=r"gates\.a_tolerance: 0 to 100 is allowed \(AP is counted in percent points"):
        choose_named("toy", ["gates.a_tolerance=-1"])
    with pytest.raises(ConfigError, match=r"gates\.max_seconds: 0\.001 or more is allowed"):
        choose_named("toy", ["gates.max_seconds=0"])
