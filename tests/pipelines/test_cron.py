"""Which cron expressions a schedule takes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.storage.errors import ConfigError
from pipelines.cron import FIELDS, check_cron


def field(least: int, most: int, names: tuple[str, ...]) -> st.SearchStrategy[str]:
    numbers = st.integers(least, most)
    spans = st.tuples(numbers, numbers).map(sorted).map(lambda pair: f"{pair[0]}-{pair[1]}")
    plain = st.one_of(st.just("*"), st.just("?"), numbers.map(str), spans, *([st.sampled_from(names)] if names else []))
    parts = st.one_of(plain, st.tuples(plain, st.integers(1, 30)).map(lambda pair: f"{pair[0]}/{pair[1]}"))
    return st.lists(parts, min_size=1, max_size=3).map(",".join)


@settings(max_examples=40)
@given(st.tuples(*(field(*limits) for limits in FIELDS.values())).map(" ".join))
def test_what_cron_allows_is_taken(expression: str) -> None:
    check_cron(expression)


@settings(max_examples=40)
@given(st.text())
def test_any_other_text_is_taken_or_refused_with_a_sentence(text: str) -> None:
    try:
        check_cron(text)
    except ConfigError as error:
        assert str(error).startswith("--cron ")


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("0 3 * * *", "has 5 fields, not six .*; with seconds in front: 0 0 3"),
        ("", "has 0 fields"),
        ("60 0 3 * * *", "'60' is no second; write .* from 0 to 59"),
        ("0 0 24 * * *", "'24' is no hour"),
        ("0 0 3 0 * *", "'0' is no day of the month"),
        ("0 0 3 * FOO *", "'FOO' is no month"),
        ("0 0 3 * * 5-2", "'5-2' is no day of the week"),
        ("0 */0 3 * * *", r"'\*/0' is no minute"),
        ("0 0 3 * * 7", "'7' is no day of the week"),
    ],
)
def test_an_expression_that_the_scheduler_would_refuse_is_refused(expression: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_cron(expression)
