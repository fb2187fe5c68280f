"""What is added to an annotation, and that all else in it stays."""

import json

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from data_prep.sources.provenance import Provenance, read_mark
from maskx_model.annotate.annotation_fields import with_mask

MARK = Provenance("maskx annotate", "runs/masks", "ab12", 0.5)
ADDED = ("segmentation", "score", "provenance")
numbers = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
annotations = st.dictionaries(st.text(max_size=6) | st.sampled_from(["id", "bbox", *ADDED]), values, max_size=8)


def fields(annotation: bytes) -> dict[str, bytes]:
    return {name: bytes(raw) for name, raw in msgspec.json.decode(annotation, type=dict[str, msgspec.Raw]).items()}


@given(annotations, st.sampled_from([None, 1]))
def test_every_other_field_stays_byte_for_byte_and_in_order(annotation: dict[str, object], indent: int | None) -> None:
    before = json.dumps(annotation, indent=indent).encode()
    after = fields(with_mask(before, b"[[1,2]]", MARK))
    others = {name: raw for name, raw in fields(before).items() if name not in ADDED}
    assert [name for name in after if name not in ADDED] == list(others)
    assert {name: raw for name, raw in after.items() if name not in ADDED} == others
    assert after["segmentation"] == b"[[1,2]]"
    mark = read_mark(after["provenance"])
    assert mark is not None
    assert (mark.made_by, mark.model, mark.sha256, mark.score) == ("maskx annotate", "runs/masks", "ab12", 0.5)


def test_an_annotation_without_these_fields_gets_them_at_its_end() -> None:
    after = with_mask(b'{ "id" : 1.0,\t"note": "\\u00e9" }', b"[]", MARK)
    assert after.startswith(b'{ "id" : 1.0,\t"note": "\\u00e9","segmentation":[],"score":0.5,"provenance":{"made_by"')
    assert list(fields(with_mask(b"{}", b"[]", MARK))) == list(ADDED)


def test_a_boxs_score_and_another_provenance_are_kept_however_often_it_is_annotated() -> None:
    given_first = b'{"id":1,"score":0.9,"provenance":"by hand"}'
    once = with_mask(given_first, b"[]", MARK)
    twice = with_mask(once, b"[[1]]", Provenance("maskx annotate", "runs/other", "cd", 0.7))
    for found in (once, twice):
        assert fields(found)["score"] == b"0.9"
        mark = read_mark(fields(found)["provenance"])
        assert mark is not None
        assert bytes(mark.before) == b'"by hand"'


def test_a_masks_own_score_is_replaced_with_it() -> None:
    once = with_mask(b'{"id":1}', b"[]", MARK)
    twice = fields(with_mask(once, b"[[1]]", Provenance("maskx annotate", "runs/other", "cd", 0.7)))
    assert (twice["segmentation"], twice["score"]) == (b"[[1]]", b"0.7")


def test_only_what_names_its_maker_is_a_mark() -> None:
    for others in (b"", b',"score":98', b',"model":{"name":"x"}'):
        assert read_mark(b'{"made_by":"another segmenter"' + others + b"}") == Provenance("another segmenter")
    assert all(read_mark(each) is None for each in (b"null", b'"by hand"', b'{"source":"x"}', b"[1]", b'{"made_by":1}'))
