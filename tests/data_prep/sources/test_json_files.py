"""Annotation files are cut into byte_ranges of whole items, and broken ones are refused with the place."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_prep.sources.json_files import byte_ranges, map_file, member, read_items, top_level
from data_prep.storage.errors import DataError

numbers = st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
shared_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)


@given(st.lists(values, max_size=12), st.integers(1, 60), st.sampled_from([None, 1, "\t"]))
@shared_folder
def test_spans_hold_every_item_once_at_its_place(tmp_path: Path, items: list[Any], size: int, indent: Any) -> None:
    path = tmp_path / "file.json"
    path.write_text(json.dumps({"before": [1, 2], "items": items, "after": {}}, indent=indent, ensure_ascii=False))
    buffer = map_file(str(path))
    raw = member(str(path), top_level(str(path), buffer), "items")
    read = [
        found
        for byte_range in byte_ranges(str(path), 0, buffer, raw, "items", size)
        for found in read_items(buffer, byte_range)
    ]
    assert [json.loads(bytes(item)) for _, item in read] == items
    for offset, item in read:
        assert buffer[offset : offset + memoryview(item).nbytes] == bytes(item)


@given(st.lists(st.text('[]{},"\\ \n', max_size=8), min_size=1, max_size=12), st.integers(1, 30), st.data())
@shared_folder
def test_brackets_in_strings_and_uneven_spaces_do_not_matter(
    tmp_path: Path, texts: list[str], size: int, data: st.DataObject
) -> None:
    written = [json.dumps({"text": text}) + data.draw(st.text(" \n\t", max_size=2)) for text in texts]
    path = tmp_path / "file.json"
    path.write_text("[" + ",".join(data.draw(st.text(" \r", max_size=2)) + text for text in written) + "]\n")
    buffer = map_file(str(path))
    cuts = list(byte_ranges(str(path), 0, buffer, buffer, "of texts", size))
    read = [found for byte_range in cuts for found in read_items(buffer, byte_range)]
    assert [json.loads(bytes(item))["text"] for _, item in read] == texts
    assert all(buffer[offset : offset + memoryview(item).nbytes] == bytes(item) for offset, item in read)
    assert max(byte_range.end - byte_range.start for byte_range in cuts) <= 2 * size + max(map(len, written)) + 4


@given(st.data())
@shared_folder
def test_an_array_cut_anywhere_is_refused_with_the_place(tmp_path: Path, data: st.DataObject) -> None:
    whole = json.dumps([{"id": 1, "text": "é,]"}, {"id": 2, "objects": [1, {"x": 2}]}]).encode()
    cut = data.draw(st.integers(1, len(whole) - 1))
    path = tmp_path / "file.json"
    path.write_bytes(whole[:cut])
    with pytest.raises(DataError, match=rf"file\.json: the JSON stops in the middle, at byte {cut}"):
        list(byte_ranges(str(path), 0, map_file(str(path)), map_file(str(path)), "of images", 10))


@pytest.mark.parametrize("text", ["[1, 2,]", "[,1]", "[1 2]", "[1]]", "[[1], 2}]", '["a]'])
@pytest.mark.parametrize("size", [1, 100])
def test_an_array_with_a_syntax_error_is_refused(tmp_path: Path, text: str, size: int) -> None:
    path = tmp_path / "file.json"
    path.write_text(text)
    buffer = map_file(str(path))
    with pytest.raises(DataError, match=r"file\.json: (broken JSON|the JSON stops)"):
        list(byte_ranges(str(path), 0, buffer, buffer, "of images", size))


def test_an_empty_array_has_no_spans_and_another_value_is_refused(tmp_path: Path) -> None:
    for text, kind in (("[ ]", None), ('{"a": 1}', "an array"), ("3", "an array")):
        path = tmp_path / "file.json"
        path.write_text(text)
        buffer = map_file(str(path))
        if kind is None:
            assert list(byte_ranges(str(path), 0, buffer, buffer, "of images")) == []
            continue
        with pytest.raises(DataError, match=kind):
            list(byte_ranges(str(path), 0, buffer, buffer, "of images"))


@given(st.data())
@shared_folder
def test_a_file_cut_anywhere_is_refused_with_the_place(tmp_path: Path, data: st.DataObject) -> None:
    whole = json.dumps({"images": [{"id": 1}], "annotations": [{"id": 1, "text": "é"}]}).encode()
    cut = data.draw(st.integers(1, len(whole) - 1))
    path = tmp_path / "file.json"
    path.write_bytes(whole[:cut])
    with pytest.raises(DataError, match=rf"file\.json: the JSON stops in the middle, at byte {cut}"):
        top_level(str(path), map_file(str(path)))


def test_a_syntax_error_is_named_with_its_byte(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.write_text('{"images": [1,, 2]}')
    with pytest.raises(DataError, match=r"file\.json: broken JSON .*byte 14"):
        top_level(str(path), map_file(str(path)))


@pytest.mark.parametrize(("text", "words"), [("", "empty"), ("[1]", "an object"), ("3", "an object")])
def test_another_file_is_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "file.json"
    path.write_text(text)
    with pytest.raises(DataError, match=words):
        top_level(str(path), map_file(str(path)))


def test_a_missing_file_and_a_missing_member_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nothing\.json: no such file"):
        map_file(f"{tmp_path}/nothing.json")
    with pytest.raises(DataError, match="has no 'annotations'"):
        member("file.json", {}, "annotations")
