"""Word vectors of classes: found by any of their names in GloVe's or word2vec's text files, or one clear error."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.format.vocabulary import SourceClass, Vocabulary, VocabularyClass
from data_prep.storage.errors import ConfigError, DataError, MaskxError
from maskx_model.data.word_vectors import class_vectors, vector_width


def named(synset: str, name: str, *of_source: str) -> VocabularyClass:
    return VocabularyClass(synset, name, {"coco": SourceClass(of_source or (name,), 1)})


CAT = named("cat.n.01", "cat")
PHONE = named("cellular_telephone.n.01", "cell phone")


def write(folder: Path, text: str | bytes) -> str:
    (folder / "vectors.txt").write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(folder / "vectors.txt")


def vectors_of(folder: Path, text: str | bytes, *classes: VocabularyClass) -> list[list[float]]:
    """The rows of the classes, without background's."""
    vectors = class_vectors(write(folder, text), Vocabulary(classes))
    assert vectors.dtype == np.float32 and not vectors[0].any()
    rows: list[list[float]] = vectors[1:].tolist()
    return rows


@pytest.mark.parametrize("header", ["", "3 2\n"], ids=["GloVe", "word2vec"])
@pytest.mark.parametrize("end", ["\n", " \n", "\r\n"])
def test_both_formats_are_read(tmp_path: Path, header: str, end: str) -> None:
    text = header + end.join(["dog 1 2", "cat 0.5 -1e-3", "the 3 4", ""])
    assert vectors_of(tmp_path, text, CAT, named("dog.n.01", "dog")) == [[0.5, pytest.approx(-0.001)], [1, 2]]
    assert vector_width(f"{tmp_path}/vectors.txt") == 2


@pytest.mark.parametrize("header", ["", "2 2\n"], ids=["GloVe", "word2vec"])
def test_a_mark_of_byte_order_is_no_part_of_the_first_word(tmp_path: Path, header: str) -> None:
    assert vectors_of(tmp_path, f"\ufeff{header}cat 1 2\ndog 3 4\n", CAT) == [[1, 2]]


@pytest.mark.parametrize("written", ["cellular_telephone", "cellular telephone", "cell_phone", "cell phone"])
def test_names_of_several_words_stand_with_underscores_or_spaces(tmp_path: Path, written: str) -> None:
    assert vectors_of(tmp_path, f"the 9 9\n{written} 1 2\n", PHONE) == [[1, 2]]


def test_the_lemma_goes_before_the_display_name_and_that_before_the_sources(tmp_path: Path) -> None:
    bag = named("pocketbook.n.01", "purse (pocketbook.n.01)", "handbag")
    lines = ["handbag 3 3", "purse 2 2", "pocketbook 1 1"]
    for expected in (1, 2, 3):
        assert vectors_of(tmp_path, "\n".join(lines), bag) == [[expected, expected]]
        lines.pop()


def test_a_source_that_speaks_in_synsets_is_understood(tmp_path: Path) -> None:
    assert vectors_of(tmp_path, "red_fox 1 2\n", named("f.n.01", "f", "red_fox.n.03")) == [[1, 2]]


def test_capitals_count_before_small_letters(tmp_path: Path) -> None:
    brand = named("Apple.n.02", "Apple")
    assert vectors_of(tmp_path, "apple 1 1\nApple 2 2\n", brand) == [[2, 2]]
    assert vectors_of(tmp_path, "apple 1 1\n", brand) == [[1, 1]]


def test_words_are_averaged_only_if_each_is_there(tmp_path: Path) -> None:
    words = "cellular 1 1\ncell 2 4\nphone 4 8\n"
    assert vectors_of(tmp_path, words, PHONE) == [[3, 6]]  # "telephone" is missing
    assert vectors_of(tmp_path, words + "telephone 3 5\n", PHONE) == [[2, 3]]  # the lemma's words go first
    assert vectors_of(tmp_path, words + "cell_phone 7 7\ntelephone 3 5\n", PHONE) == [[7, 7]]
    assert vectors_of(tmp_path, "t 1 3\nshirt 2 5\n", named("t-shirt.n.01", "t-shirt")) == [[1.5, 4]]
    with pytest.raises(ConfigError, match="no vector for 1 of the 1 classes"):
        vectors_of(tmp_path, "cell 2 4\ntelephone 1 1\n", PHONE)


def test_the_first_of_two_rows_of_one_name_counts(tmp_path: Path) -> None:
    assert vectors_of(tmp_path, "cat 1 2\ncat 3 4\n", CAT) == [[1, 2]]


def test_names_that_are_no_utf_8_and_odd_names_do_no_harm(tmp_path: Path) -> None:
    assert vectors_of(tmp_path, b"the 1 2\n\xff\xfe 1 2\n. . . 3 4\n\xc2\xa0 5 6\n\ncat 7 8\n", CAT) == [[7, 8]]


def test_missing_classes_are_counted_and_named(tmp_path: Path) -> None:
    classes = [CAT, *(named(f"c{i}.n.01", f"c{i}") for i in range(7))]
    expected = (
        r"vectors.txt: no vector for 7 of the 8 classes \(c0, c1, c2, c3, c4, …\); "
        r"append a line `name number number …` for each of them"
    )
    with pytest.raises(ConfigError, match=expected):
        vectors_of(tmp_path, "cat 1 2\n", *classes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("the 1 2 3\ncat 1 2\n", r"vectors.txt, line 2: not a name with 3 numbers behind it"),
        ("the 1.5 2\ncat 1.5 2.5 3.5\n", r"vectors.txt, line 2: not a name with 2 numbers behind it"),
        ("2 3\nthe 1 2 3\ncat 1 2\n", r"vectors.txt, line 3: not a name with 3 numbers behind it"),
        ("the 1 2\ndog\ncat 1 2\n", r"vectors.txt, line 2"),
        ("cat\n", r"vectors.txt, line 1"),
        ("the 1 2\ncat 1 x\n", r"vectors.txt, line 2 \(cat\): not a vector of numbers"),
        ("the 1 2\ncat 1 nan\n", r"vectors.txt, line 2 \(cat\): holds a number that is not finite in float32"),
        ("cat 1e39 1\n", r"vectors.txt, line 1 \(cat\): holds a number that is not finite in float32"),
        ("cat  1 2\n", r"line 1 \(cat\): not a vector of numbers"),
        ("", r"no vector for 1 of the 1 classes \(cat\)"),
    ],
)
def test_what_cannot_be_read_is_named_by_file_and_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(MaskxError, match=message):
        vectors_of(tmp_path, text, CAT)


def test_an_empty_file_has_no_width(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"vectors.txt: holds no vectors"):
        vector_width(write(tmp_path, "\n"))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere.txt: no such file of word vectors"):
        vector_width(f"{tmp_path}/nowhere.txt")


def test_only_the_rows_asked_for_stay_in_memory(tmp_path: Path) -> None:
    row = " ".join(["0.123456"] * 100)
    uri = write(tmp_path, "".join(f"word{i} {row}\n" for i in range(5000)) + f"cat {row}\n")
    tracemalloc.start()
    class_vectors(uri, Vocabulary((CAT,)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < Path(uri).stat().st_size / 10


NAMES = st.text("abcdefg_-é", min_size=1).filter(lambda name: name.strip("_- ") == name)
NUMBERS = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(st.data())
def test_every_row_written_is_found_again(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    width = data.draw(st.integers(1, 4))
    rows = data.draw(st.dictionaries(NAMES, st.lists(NUMBERS, min_size=width, max_size=width), min_size=1))
    text = f"{len(rows)} {width}\n" + "".join(f"{name} {' '.join(map(repr, row))}\n" for name, row in rows.items())
    classes = tuple(named(f"{name}.n.01", name) for name in rows)
    found = class_vectors(write(tmp_path_factory.mktemp("vectors"), text), Vocabulary(classes))
    np.testing.assert_array_equal(found[1:], np.array(list(rows.values()), np.float32))
