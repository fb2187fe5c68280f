"""A dataset's classes as torchvision's labels: known by name, and the rows of each."""

import pytest
import torch

from data_prep.format.vocabulary import SourceClass, Vocabulary, VocabularyClass
from data_prep.storage.errors import ConfigError
from maskx_model.artifacts.torchvision_detector import CATEGORIES, coco_ids, rows_by_class
from maskx_model.data import coco_classes
from tests.maskx_model.artifacts.test_torchvision_detector import ALL_IDS, vocabulary


def test_labels_follow_cocos_coco_ids() -> None:
    assert coco_ids(vocabulary([1, 13, 90])) == (1, 13, 90)
    assert len(ALL_IDS) == 80


def test_our_table_of_cocos_classes_is_torchvisions() -> None:
    assert coco_classes.coco_ids() == {CATEGORIES[i]: i for i in ALL_IDS}


def test_classes_are_known_by_name_whatever_their_number() -> None:
    own = [SourceClass(("car",), 3, 3), SourceClass(("N/A",), 3, 3)]
    classes = (VocabularyClass(f"{i}.n.01", str(i), {"own": each}, i) for i, each in enumerate(own))
    assert coco_ids(Vocabulary(tuple(classes))) == (3, None)


STRANGERS = pytest.mark.parametrize(
    "stranger",
    [
        VocabularyClass("igloo.n.01", "igloo", {"vg": SourceClass(("igloo.n.01",), 3)}),
        VocabularyClass("igloo.n.01", "igloo", {"coco": SourceClass(("igloo",), 3, 3)}, 2),
        VocabularyClass("igloo.n.01", "igloo", {"coco": SourceClass(("igloo",), 3, 3)}, 91),
    ],
    ids=["of Visual Genome", "another's number", "a number beyond COCO's"],
)


@STRANGERS
def test_a_class_that_coco_lacks_has_no_id(stranger: VocabularyClass) -> None:
    assert coco_ids(Vocabulary((*vocabulary([1, 90]).classes, stranger))) == (1, 90, None)


@STRANGERS
def test_a_dataset_without_any_of_cocos_classes_is_refused(stranger: VocabularyClass) -> None:
    with pytest.raises(ConfigError, match="none of the dataset's 1 classes has the name of one of COCO's 80"):
        coco_ids(Vocabulary((stranger,)))


def test_rows_are_taken_by_class_and_the_others_stay() -> None:
    published = torch.arange(91.0 * 4).view(364, 1)  # as of box regression: four rows of each
    own = torch.full((16, 1), -1.0)
    mixed = rows_by_class(published, own, [90, None, 1]).view(4, 4)
    assert mixed[:, 0].tolist() == [0, 360, -1, 4]
    assert mixed[3].tolist() == [4, 5, 6, 7] and bool((mixed[2] == -1).all())
