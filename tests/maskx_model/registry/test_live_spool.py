"""The spool: what was added comes out, in order, whatever moment the process was killed at."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.storage.errors import DataError
from maskx_model.registry.live_spool import EVENTS, Event, Point, Shown, Spool, Turn, finite
from tests.maskx_model.registry.live import description

NUMBERS = st.dictionaries(st.text(max_size=8), st.floats(allow_nan=False, allow_infinity=False), max_size=3)
FILES = st.from_regex(r"[0-9]{8}-[^/\x00]{0,8}\.png", fullmatch=True)
EVENT = st.one_of(
    st.builds(Point, st.integers(0, 2**53), st.integers(0, 10**6), NUMBERS),
    st.builds(Turn, st.integers(0, 2**53), st.sampled_from(["RUNNING", "FINISHED"])),
    st.builds(Shown, st.integers(0, 2**53), st.integers(0, 10**6), st.text(max_size=8), FILES),
)


@settings(max_examples=20)  # each waits for the disk several times
@given(st.lists(EVENT, max_size=6), st.integers(0, 6), st.integers(1, 6))
def test_what_was_added_comes_out_once_in_order(events: list[Event], before: int, at_once: int) -> None:
    """Some of it before the process ended, and some when it was opened again."""
    out: list[Event] = []
    with TemporaryDirectory() as folder:
        spool = Spool(Path(folder), description(Path(folder)))
        for event in events[:before]:
            spool.add(event)
        out += take(spool, at_once)
        for event in events[before:]:
            spool.add(event)
        again = Spool(Path(folder))
        assert again.waits == (len(out) < len(events))
        while again.waits:
            out += take(again, at_once)
    assert out == events


def take(spool: Spool, most: int) -> list[Event]:
    unsent = spool.unsent(most)
    spool.mark_sent(unsent)
    return list(unsent.events)


@settings(max_examples=40)
@given(st.lists(EVENT, min_size=1, max_size=4), st.data())
def test_a_line_that_was_cut_off_is_lost_and_no_other(events: list[Event], data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        spool = Spool(Path(folder), description(Path(folder)))
        sizes = [0]
        for event in events:
            spool.add(event)
            sizes.append((Path(folder) / EVENTS).stat().st_size)
        cut = data.draw(st.integers(0, sizes[-1]))
        with (Path(folder) / EVENTS).open("r+b") as file:
            file.truncate(cut)
        again = Spool(Path(folder))
        whole = sum(size <= cut for size in sizes[1:])
        again.add(Turn(0, "RUNNING"))
        assert list(again.unsent(100).events) == [*events[:whole], Turn(0, "RUNNING")]


def test_a_line_that_is_no_event_is_named(tmp_path: Path) -> None:
    spool = Spool(tmp_path, description(tmp_path))
    (tmp_path / EVENTS).write_bytes(b'{"type":"point"\xff}\n')
    with pytest.raises(DataError, match=r"events\.jsonl: .* is no event"):
        Spool(tmp_path).unsent(1)
    assert not spool.waits


def test_a_picture_is_kept_until_it_is_sent(tmp_path: Path) -> None:
    spool = Spool(tmp_path, description(tmp_path))
    spool.add_picture(1, 20, "coco-1", b"png")
    (shown,) = spool.unsent(9).events
    assert isinstance(shown, Shown)
    assert (tmp_path / "pictures" / shown.file).read_bytes() == b"png"
    spool.mark_sent(spool.unsent(9))
    assert list((tmp_path / "pictures").iterdir()) == []


def test_what_another_training_has_left_is_dropped_and_that_of_this_one_stays(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own = description(tmp_path)
    Spool(tmp_path, own).add(Turn(0, "RUNNING"))
    assert Spool(tmp_path, replace(own, tracking_uri="http://elsewhere")).waiting() == 1
    assert not Spool(tmp_path, replace(own, training="1" * 32)).waits
    assert f"{tmp_path}: holds what another training in this folder has left; it is dropped" in caplog.text


def test_a_number_that_is_not_finite_has_no_point() -> None:
    assert finite({"a": 1, "b": float("nan"), "c": float("-inf")}) == {"a": 1.0}


def test_a_description_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("[]")
    with pytest.raises(DataError, match=r"run\.json: not the description of a run"):
        Spool(tmp_path)
