"""The vocabulary: COCO-format classes by category id, then the most frequent synsets by name."""

from pathlib import Path

import pytest

from data_prep.prepare.vocabulary import ClassCount, build_vocabulary, most_frequent, read_synset_table, synsets_of
from data_prep.sources.categories import Category
from data_prep.storage.errors import ConfigError, DataError

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
    counts = {
        "coco": {"suitcase": ClassCount(3, 2, 1)},
        "mine": {"suitcase": ClassCount(5, 5, 5)},
        "vg": {"bag.n.06": ClassCount(7, 0, 0)},
    }
    vocabulary = build_vocabulary({"coco": COCO, "mine": own}, TABLE, {"bag.n.06": 8}, counts, None)
    assert [c.synset for c in vocabulary.classes] == ["person.n.01", "bag.n.06", "plant.n.01", "dragon_fly.n.01"]
    suitcase = vocabulary.classes[1]
    assert {s: (c.names, c.objects, c.masks, c.training_masks) for s, c in suitcase.sources.items()} == {
        "coco": (("suitcase",), 3, 2, 1),
        "mine": (("suitcase",), 5, 5, 5),
        "vg": (("bag.n.06",), 7, 0, 0),
    }
    assert suitcase.category_id == 33


def test_two_names_of_one_source_are_one_class_only_where_its_file_or_the_table_says_so() -> None:
    names = ("suitcase", "bag", "big cat", "big_cat", "cat", "tomcat", "lion", "lioness")
    mine = tuple(Category(number, name) for number, name in enumerate(names, 1))
    given = (Category(9, "wolf", synset="wolf.n.01"), Category(10, "gray wolf", synset="wolf.n.01"))
    table = {"suitcase": "bag.n.01", "cat": "cat.n.01", "tomcat": "cat.n.01"}
    vocabulary = build_vocabulary({"mine": (*mine, *given)}, table, {}, {}, None)
    assert {c.synset: c.sources["mine"].names for c in vocabulary.classes} == {
        "bag.n.01": ("suitcase",),
        "bag": ("bag",),
        "big_cat.n.01": ("big cat",),
        "big_cat": ("big_cat",),
        "cat.n.01": ("cat", "tomcat"),
        "lion.n.01": ("lion",),
        "lioness.n.01": ("lioness",),
        "wolf.n.01": ("wolf", "gray wolf"),
    }


def test_each_sources_own_ids_are_kept() -> None:
    cats = Category(9, "big cat", synset="cat.n.01"), Category(4, "big_cat", synset="cat.n.01")
    mine = (*cats, Category(1, "suitcase"))
    vocabulary = build_vocabulary(
        {"coco": COCO, "mine": mine}, TABLE, {"bag.n.06": 1}, {"vg": {"bag.n.06": ClassCount(7, 0, 0)}}, None
    )
    own = [c.sources["mine"] for c in vocabulary.classes if "mine" in c.sources]
    assert [(c.names, c.ids) for c in own] == [(("suitcase",), (1,)), (("big cat", "big_cat"), (9, 4))]
    assert next(c for c in vocabulary.classes if c.synset == "bag.n.06").sources["vg"].ids == ()


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
    categories = Category(1, "person"), Category(11, "fire hydrant")
    assert synsets_of(categories, read_synset_table(str(path))) == {
        "person": "somebody.n.01",
        "fire hydrant": "fire_hydrant.n.01",
    }


@pytest.mark.parametrize(
    "text", ["name,synset\na,b\n", "category_id,name,synset\n1,person\n", "category_id,name,synset\n1,,\n"]
)
def test_another_table_is_refused_with_its_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "own.csv"
    path.write_text(text)
    with pytest.raises(ConfigError, match="line 2"):
        read_synset_table(str(path))


def test_the_authors_3001_names_come_out_in_their_order(real_sample: Path) -> None:
    """Their list has COCO's 80 and the 3000 most frequent: one of COCO's is not among those."""
    names = (real_sample / "vg3k_class_names.txt").read_text().split()
    table = read_synset_table(None)
    coco = tuple(Category(number, name) for number, name in enumerate(table, start=1))
    rest = _with_senses(names[80:], set(table.values()))
    rare = table["hair drier"]
    synsets = {**dict.fromkeys([*table.values(), *rest], 5), rare: 4, "a_little_rarer.n.01": 4, "rare.n.01": 1}
    vocabulary = build_vocabulary({"coco": coco}, table, synsets, {}, 3000)
    assert rare not in most_frequent(synsets, 3000)
    assert len(vocabulary) == 3001
    assert [c.synset.rsplit(".", 2)[0] for c in vocabulary.classes] == names
    assert len(set(vocabulary.names)) == 3001


def _with_senses(names: list[str], taken: set[str]) -> list[str]:
    """A synset for each name: the first noun senses that are free."""
    synsets = []
    for name in names:
        synset = next(s for s in (f"{name}.n.{number:02d}" for number in range(1, 99)) if s not in taken)
        taken.add(synset)
        synsets.append(synset)
    return synsets


def test_with_all_of_cocos_synsets_among_the_most_frequent_there_are_no_more_classes() -> None:
    synsets = {"person.n.01": 9, "bag.n.06": 8, "plant.n.01": 7, "tree.n.01": 6, "rare.n.01": 1}
    assert len(build_vocabulary({"coco": COCO}, TABLE, synsets, {}, 4)) == 4
    assert len(build_vocabulary({"coco": COCO}, TABLE, {**synsets, "plant.n.01": 0}, {}, 4)) == 5


def test_what_a_files_own_categories_mean_is_said_by_the_file() -> None:
    own = (Category(1, "handbag", "purse.n.01"), Category(2, "suitcase"))
    vocabulary = build_vocabulary({"mine": own}, {**TABLE, "handbag": "bag.n.04"}, {}, {}, None)
    assert [c.synset for c in vocabulary.classes] == ["purse.n.01", "bag.n.06"]


def test_one_name_of_two_concepts_is_shown_with_the_second_ones_synset() -> None:
    lvis = (Category(1, "suitcase", "case.n.05"),)
    vocabulary = build_vocabulary({"coco": COCO, "lvis": lvis}, TABLE, {"case.n.07": 1}, {}, None)
    assert vocabulary.names == ("person", "suitcase", "potted plant", "suitcase (case.n.05)", "case")


def test_a_source_lends_its_category_ids_only_if_they_are_no_other_classs() -> None:
    free, clashing = (Category(2, "dragon"),), (Category(1, "acorn"), Category(7, "oak"))
    vocabulary = build_vocabulary({"coco": COCO, "own": free, "mine": clashing}, TABLE, {}, {}, None)
    assert [c.category_id for c in vocabulary.classes] == [1, 33, 64, 2, None, None]
