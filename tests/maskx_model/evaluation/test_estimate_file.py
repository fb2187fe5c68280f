"""`estimate.json`: written and read, and refused where it is something else."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from data_prep.storage.errors import DataError
from maskx_model.evaluation.estimate_file import EstimateOfB, read_estimate, write_estimate

PERCENT = st.floats(0, 100)
ESTIMATES = st.builds(
    EstimateOfB,
    on_b=PERCENT,
    error=st.none() | PERCENT,
    held_out=PERCENT,
    margin=PERCENT,
    margin_error=PERCENT,
    folds=st.lists(st.lists(st.text(max_size=5), max_size=3).map(tuple), max_size=3).map(tuple),
    seeds=st.lists(st.integers(0, 9), max_size=3).map(tuple),
    made_from=st.dictionaries(st.sampled_from(["dataset", "seed"]), st.none() | st.text(max_size=5)),
)


@given(ESTIMATES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_written_is_read(tmp_path: Path, estimate: EstimateOfB) -> None:
    write_estimate(str(tmp_path), estimate)
    assert read_estimate(str(tmp_path)) == estimate


@given(st.binary(max_size=60))
@example(b'{"folds":[["\xe1"]]}')
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_anything_else_is_refused_with_the_remedy(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "estimate.json").write_bytes(data)
    with pytest.raises(DataError, match=r"estimate\.json: not an estimate .* run `maskx study estimate` again"):
        read_estimate(str(tmp_path))


def test_a_folder_without_one_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no estimate\.json, so no finished estimate; run `maskx study estimate`"):
        read_estimate(str(tmp_path))


def test_it_is_shown_with_its_error() -> None:
    estimate = EstimateOfB(21.04, 2.5, 20.0, 10.0, 1.0, (), (0,), {})
    assert str(estimate) == "21.0 ± 2.5"
