"""The vocabulary: COCO-format classes by category id, then the most frequent synsets by name."""

from pathlib import Path

import pytest

from data_prep.format.errors import ConfigError, DataError
from data_prep.sources.coco import Category
from data_prep.vocabulary import build_vocabulary, most_frequent, read_synset_table, synset_of

COCO = (Category(1, "person"), Category(33, "suitcase"), Category(64, "potted plant"))
TABLE = {"suitcase": "bag.n.06", "potted plant": "plant.n.01"}
SYNSETS = {"tree.n.01": 9, "bag.n.01": 5, "person.n.01": 20, "plant.n.01": 1, "person.n.02": 5, "rare.n.01": 1}


def test_the_most_frequent_beside_cocos_by_synset() -> None:
    vocabulary = build_vocabulary({"coco": COCO}, TABLE, SYNSETS, {}, 4)
    assert [c.synset for c in vocabulary.classes] == [
        "person.n.01",
        "bag.n.06",
        "plant.n.01",
        "bag.n.01",
        "person.n.02",
        "tree.n.01",
    ]
    assert [c.category_id for c in vocabulary.classes] == [1, 33, 64, None, None, None]


def test_ties_are_broken_by_name() -> None:
    assert most_frequent({"b": 1, "a": 1, "c": 2}, 2) == ["c", "a"]


def test_all_synsets_by_default() -> None:
    assert len(build_vocabulary({"coco": COCO}, TABLE, SYNSETS, {}, None)) == 7


def test_more_classes_than_synsets_are_refused_with_their_number() -> None:
    with pytest.raises(DataError, match="--classes 7: the sources name 6 synsets"):
        build_vocabulary({}, {}, SYNSETS, {}, 7)


def test_names_for_people_are_unique() -> None:
    vocabulary = build_vocabulary({"coco": COCO}, TABLE, {**SYNSETS, "tree.n.02": 1}, {}, None)
    names = {c.synset: c.name for c in vocabulary.classes}
    assert names["person.n.01"] == "person"
    assert names["person.n.02"] == "person (person.n.02)"
    assert names["tree.n.01"] == "tree (tree.n.01)"
    assert names["bag.n.01"] == "bag"
    assert len(set(names.values())) == len(names)


def test_one_concept_of_two_sources_is_one_class() -> None:
    own = (Category(0, "suitcase"), Category(1, "dragon fly"))
    counts = {"coco": {"suitcase": (3, 2)}, "mine": {"suitcase": (5, 5)}, "vg": {"bag.n.06": (7, 0)}}
    vocabulary = build_vocabulary({"coco": COCO, "mine": own}, TABLE, {"bag.n.06": 8}, counts, None)
    assert [c.synset for c in vocabulary.classes] == ["person.n.01", "bag.n.06", "plant.n.01", "dragon_fly.n.01"]
    suitcase = vocabulary.classes[1]
    assert {s: (c.names, c.objects, c.masks) for s, c in suitcase.sources.items()} == {
        "coco": (("suitcase",), 3, 2),
        "mine": (("suitcase",), 5, 5),
        "vg": (("bag.n.06",), 7, 0),
    }
    assert suitcase.category_id == 33


def test_two_names_of_one_concept_in_one_source_are_one_class() -> None:
    vocabulary = build_vocabulary({"mine": (Category(1, "big cat"), Category(2, "big_cat"))}, {}, {}, {}, None)
    assert [c.sources["mine"].names for c in vocabulary.classes] == [("big cat", "big_cat")]


def test_the_table_shipped_has_all_of_coco_written_out() -> None:
    table = read_synset_table(None)
    assert len(table) == 80
    assert (table["person"], table["sports ball"], table["tv"]) == ("person.n.01", "ball.n.01", "television.n.01")
    assert len(set(table.values())) == 80


def test_the_table_agrees_with_the_papers_names(real_sample: Path) -> None:
    names = (real_sample / "vg3k_class_names.txt").read_text().split()
    assert [synset.rsplit(".", 2)[0] for synset in read_synset_table(None).values()] == names[:80]


def test_a_table_of_ones_own_takes_its_place(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text("category_id,name,synset\n1,person,somebody.n.01\n")
    assert synset_of(Category(1, "person"), read_synset_table(str(path))) == "somebody.n.01"
    assert synset_of(Category(11, "fire hydrant"), read_synset_table(str(path))) == "fire_hydrant.n.01"


@pytest.mark.parametrize(
    "text", ["name,synset\na,b\n", "category_id,name,synset\n1,person\n", "category_id,name,synset\n1,,\n"]
)
def test_another_table_is_refused_with_its_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "own.csv"
    path.write_text(text)
    with pytest.raises(ConfigError, match="line 2"):
        read_synset_table(str(path))
