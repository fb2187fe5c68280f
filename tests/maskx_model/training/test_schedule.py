"""Schedules: the learning rate at each step."""

import pytest

from data_prep.storage.errors import ConfigError
from maskx_model.schedules import Schedule
from maskx_model.training.optimizer import learning_rate_factor


def test_the_papers_schedule_warms_up_from_a_third_and_steps_down_twice() -> None:
    schedule = Schedule(steps=90_000, milestones=(60_000, 80_000))
    factors = [learning_rate_factor(schedule, step) for step in (0, 250, 500, 59_999, 60_000, 79_999, 80_000, 89_999)]
    assert factors == pytest.approx([1 / 3, 2 / 3, 1, 1, 0.1, 0.1, 0.01, 0.01])


def test_a_cosine_falls_from_one_to_nearly_nothing() -> None:
    schedule = Schedule(steps=100, decay="cosine", warmup_steps=0)
    factors = [learning_rate_factor(schedule, step) for step in range(100)]
    assert factors[0] == 1 and factors[50] == pytest.approx(0.5) and 0 < factors[99] < 0.001
    assert factors == sorted(factors, reverse=True)


def test_a_schedule_without_steps_is_refused() -> None:
    with pytest.raises(ConfigError, match="steps: at least one is needed, got 0"):
        Schedule(steps=0)
