"""Of a JSON file that breaks somewhere: the byte, how many records before it were whole, and the last one's id."""

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.sources.broken_json import broken_json_error
from data_prep.sources.json_files import byte_ranges, map_file, member, top_level
from data_prep.storage.errors import JSON_ERRORS, DataError
from tests.data_prep.small_sources import coco_image, coco_object, prepare_plainly, vg_image, vg_object, write_vg

COCO = {
    "info": {"id": 1, "years": [2014, 2017]},
    "images": [coco_image(number) for number in (4, 5)],
    "annotations": [coco_object(number, 4) for number in (70, 71, 72)],
    "categories": [{"id": 1, "name": "cat"}],
}


MEND = "mend it there, or have the program that wrote the file write it as JSON"


def message(text: bytes, tmp_path: Path) -> str:
    """What reading the file says."""
    path = tmp_path / "file.json"
    path.write_bytes(text)
    buffer = map_file(str(path))
    with pytest.raises(DataError) as caught:
        for name in ("images", "annotations"):
            list(byte_ranges(str(path), 0, buffer, member(str(path), top_level(str(path), buffer), name), name))
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value).removeprefix(f"{path}: ")


@pytest.mark.parametrize(
    ("before", "records"),
    [
        ('"years"', "after 0 whole records;"),
        ('{"id": 5, "width"', "after 1 whole records of 'images' (the last has id 4);"),
        ('"annotations"', "after 2 whole records of 'images' (the last has id 5);"),
        ('{"id": 72,', "after 2 whole records of 'annotations' (the last has id 71);"),
        ('"categories"', "after 3 whole records of 'annotations' (the last has id 72);"),
    ],
)
def test_a_break_is_reported_with_its_byte_and_the_whole_records(tmp_path: Path, before: str, records: str) -> None:
    text = json.dumps(COCO).encode()
    place = text.index(before.encode())
    assert message(text[:place] + b"@" + text[place:], tmp_path) == (
        f"broken JSON at line 1, column {place + 1} (byte {place}): a syntax error, {records} {MEND}"
    )


def test_a_download_that_stopped_is_reported_with_the_whole_records(tmp_path: Path) -> None:
    text = json.dumps(COCO).encode()
    cut = text.index(b'"id": 72') + 9
    assert message(text[:cut], tmp_path) == (
        f"the JSON stops in the middle, at byte {cut}, after 2 whole records of 'annotations' (the last has id 71); "
        "get the file again"
    )


def test_of_visual_genome_the_last_whole_image_is_reported(tmp_path: Path) -> None:
    write_vg(tmp_path / "vg", [vg_image(9)], {9: [vg_object(1)], 10: [vg_object(2)], 11: [vg_object(3)]})
    path = tmp_path / "vg/objects.json"
    path.write_text(path.read_text().replace('"object_id": 3', '"object_id" 3'))
    with pytest.raises(DataError, match=r"objects\.json: broken JSON at line 1, .*, after 2 .* \(the last has id 10\)"):
        prepare_plainly(tmp_path / "out", f"vg=vg:{tmp_path}/vg")


def test_a_byte_that_is_not_text_is_found(tmp_path: Path) -> None:
    text = b" " * 70_000 + b'{"images": [], "\xff": 1}'
    assert message(text, tmp_path) == (
        "broken JSON at line 1, column 70017 (byte 70016): a byte that is not UTF-8 text, "
        f"after 0 whole records of 'images'; {MEND}"
    )


@pytest.mark.parametrize(
    ("text", "place", "what"),
    [
        ('{"images": [],\n "annotations": [1, 2,\n ]}', "line 3, column 2", "a comma before the closing bracket"),
        ('{"images": [],\n "annotations": [],\n}', "line 3, column 1", "a comma before the closing bracket"),
        ('{// by me\n"images": []}', "line 1, column 2", "a comment"),
        ('{"images": [] /* by me */}', "line 1, column 15", "a comment"),
        ("{'images': []}", "line 1, column 2", "single quotes"),
        ('{"images": None}', "line 1, column 12", "a Python value"),
        ('{"images": nan}', "line 1, column 13", "a number that JSON does not have"),
        ("{images: []}", "line 1, column 2", "a name without double quotes"),
        ('{"images": [] "annotations": []}', "line 1, column 15", "no comma between two values"),
        ('{"images": []}\n]', "line 2, column 2", "more text after the end"),
        ('{"images": "a\nb"}', "line 1, column 14", "a control character"),
    ],
)
def test_what_people_write_that_is_no_json_is_told_with_its_line(
    tmp_path: Path, text: str, place: str, what: str
) -> None:
    told = message(text.encode(), tmp_path)
    assert told.startswith(f"broken JSON at {place} (byte ")
    assert what in told
    assert told.endswith(MEND)


def test_nesting_without_end_and_numbers_without_end_are_reported() -> None:
    for text in (b"[" * 200_000, b'[{"id": ' + b"9" * 5000 + b"}, 1,,"):
        assert "f.json: " in str(broken_json_error("f.json", memoryview(text), RecursionError("too deep")))


@given(st.binary(max_size=60) | st.text(alphabet='[]{},:"1e\\u0d8 \x00', max_size=40).map(str.encode))
@settings(max_examples=500)
def test_any_bytes_are_refused_with_words(data: bytes) -> None:
    try:
        msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    except JSON_ERRORS as error:
        text = str(broken_json_error("f.json", memoryview(data), error))
        assert text.startswith("f.json: ")
        assert text.endswith("get the file again") == ("the JSON stops in the middle" in text)
