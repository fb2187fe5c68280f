"""Certainty, and the IoU that it foretells."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from data_prep.storage.errors import DataError
from maskx_model.annotate.calibration import Calibration, certainty, fit_calibration


def test_certainty_is_the_mean_distance_from_a_half_within_the_mask() -> None:
    probabilities = torch.full((3, 28, 28), 0.1)
    probabilities[0, :2, 0] = torch.tensor([0.9, 0.7])
    probabilities[1] = 1.0
    assert certainty(probabilities) == pytest.approx([0.6, 1.0, 0.0])


@given(st.integers(0, 10**6), st.integers(50, 300))
def test_a_calibration_never_falls_and_is_right_on_average(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    sure = rng.uniform(0.3, 1, count)
    ious = (0.2 + 0.6 * sure + rng.normal(0, 0.1, count)).clip(0, 1)
    fitted = fit_calibration(sure.tolist(), ious.tolist())
    scores = fitted.score(np.linspace(0, 1, 101))
    assert (np.diff(scores) >= 0).all()
    assert scores[0] == 0 and scores[-1] <= 1
    assert fitted.score(sure).mean() == pytest.approx(ious.mean(), abs=0.05)
    assert fitted.objects == count


def test_masks_less_sure_than_any_known_one_still_rank() -> None:
    fitted = Calibration((0.0, 0.5, 1.0), (0.0, 0.4, 0.8), 50)
    assert fitted.score(np.array([0.1, 0.2, 0.75])) == pytest.approx([0.08, 0.16, 0.6])


def test_few_masks_foretell_nothing() -> None:
    with pytest.raises(DataError, match="calibration takes 50 or more"):
        fit_calibration([0.5] * 49, [0.5] * 49)
