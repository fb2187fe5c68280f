"""Which class of the model a name means."""

import pytest

from data_prep.format.vocabulary import SourceClass, Vocabulary, VocabularyClass
from maskx_model.annotate.class_names import class_finder

VOCABULARY = Vocabulary(
    (
        VocabularyClass("traffic_light.n.01", "traffic light", {"coco": SourceClass(("traffic light",), 1)}, 10),
        VocabularyClass("bag.n.06", "bag (bag.n.06)", {"vg": SourceClass(("bag.n.06",), 1)}),
        VocabularyClass("polish.n.03", "Polish", {"vg": SourceClass(("polish.n.03",), 1)}),
        VocabularyClass("polish.n.01", "polish", {"vg": SourceClass(("polish.n.01",), 1)}),
    )
)


@pytest.mark.parametrize(
    ("name", "synset", "position"),
    [
        ("traffic light", None, 0),
        ("Traffic_Light", None, 0),
        (" traffic  light ", None, 0),
        ("Tasche", "bag.n.06", 1),
        ("bag.n.06", None, 1),
        ("Polish", None, 2),
        ("polish", None, 3),
        ("POLISH", None, None),
        ("bag", None, None),
        ("", None, None),
    ],
)
def test_a_class_is_found_by_synset_name_and_spelling(name: str, synset: str | None, position: int | None) -> None:
    assert class_finder(VOCABULARY)(name, synset) == position
