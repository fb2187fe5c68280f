"""Categories of one name, of names alike, without objects, or that are none: joined, noted or told."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from data_prep.check.check import CheckOptions, check
from data_prep.format.reader import Dataset
from data_prep.storage.errors import DataError
from tests.data_prep.prepare.own_source import made, write
from tests.data_prep.prepare.test_small_datasets import records
from tests.data_prep.small_sources import coco_image, coco_object


def test_a_class_under_two_ids_is_one_and_told(tmp_path: Path) -> None:
    objects = [coco_object(1, 1), coco_object(2, 1, category_id=2, segmentation=[])]
    source = write(tmp_path, [coco_image(1)], objects, [{"id": 1, "name": "nut"}, {"id": 2, "name": "nut"}])
    assert made(tmp_path, f"mine=coco:{source}").repaired == {"mine": {"category_ids_joined": 1}}


def test_of_two_categories_of_one_name_the_one_with_objects_gives_its_id(tmp_path: Path) -> None:
    categories = [{"id": 0, "name": "nut"}, {"id": 1, "name": "nut", "supercategory": "nut"}]
    made(tmp_path, f"mine=coco:{write(tmp_path, [coco_image(1)], [coco_object(1, 1)], categories)}")
    (vocabulary_class,) = json.loads((tmp_path / "out/vocabulary.json").read_text())["classes"]
    assert vocabulary_class["category_id"] == 1


def test_classes_alike_and_without_objects_and_crowds_alone_are_noted(tmp_path: Path) -> None:
    names = ["Nut", "nut", "hex bolt", "hex_bolt", "washer"]
    categories = [{"id": number, "name": name} for number, name in enumerate(names, 1)]
    objects = [coco_object(n, 1, category_id=n, iscrowd=1) for n in range(1, 5)]
    manifest = made(tmp_path, f"mine=coco:{write(tmp_path, [coco_image(1)], objects, categories)}")
    assert manifest.noted == {"mine": {"class_names_alike": 4, "class_without_objects": 1, "only_crowds": 1}}


@pytest.mark.parametrize(
    ("crowds", "noted"),
    [
        (range(1), {}),
        (range(2), {"many_crowds": 2}),
        ([9], {"crowd_classes": 1}),
        (range(8, 10), {"many_crowds": 2, "crowd_classes": 1}),
    ],
)
def test_many_crowds_and_classes_of_nothing_else_are_noted(
    tmp_path: Path, crowds: Sequence[int], noted: dict[str, int]
) -> None:
    boxes = [[n, 3, 10, 5] for n in range(10)]
    objects = [
        coco_object(n, 1, bbox=box, segmentation=[], category_id=2 if n == 9 else 1, iscrowd=int(n in crowds))
        for n, box in enumerate(boxes)
    ]
    categories = [{"id": 1, "name": "nut"}, {"id": 2, "name": "bolt"}]
    manifest = made(tmp_path, f"mine=coco:{write(tmp_path, [coco_image(1)], objects, categories)}")
    assert manifest.noted.get("mine", {}) == noted


def test_masks_of_crowds_are_none_to_train_on(tmp_path: Path) -> None:
    objects = [coco_object(n, 1, category_id=n, iscrowd=int(n == 2)) for n in (1, 2)]
    categories = [{"id": 1, "name": "nut"}, {"id": 2, "name": "nuts"}]
    made(tmp_path, f"mine=coco:{write(tmp_path, [coco_image(1)], objects, categories)}")
    found = {c.name: c.sources["mine"] for c in Dataset.open(f"{tmp_path}/out").vocabulary.classes}
    assert {name: (own.masks, own.training_masks) for name, own in found.items()} == {"nut": (1, 1), "nuts": (1, 0)}


def test_classes_of_two_sources_are_noted_where_they_are_alike_and_stay_apart(tmp_path: Path) -> None:
    sources = []
    for source, names in {"a": ["Nut", "bolt", "cell phone"], "b": ["nut", "bolt", "cell_phone"]}.items():
        categories = [{"id": number, "name": name} for number, name in enumerate(names, 1)]
        categories[2]["synset"] = "cellular_telephone.n.01"
        objects = [coco_object(n, 1, category_id=n) for n in range(1, 4)]
        image = coco_image(1, file_name=f"{source}.jpg")
        sources.append(f"{source}=coco:{write(tmp_path / source, [image], objects, categories)}")
    checked = check(CheckOptions(tuple(sources)))
    assert made(tmp_path, *sources).noted == {"a": {"class_names_alike": 1}, "b": {"class_names_alike": 1}}
    assert [checked.counts.noted[source]["class_names_alike"].example.seen for source in "ab"] == [
        "'Nut' ('nut' in b)",
        "'nut' ('Nut' in a)",
    ]


def test_absent_classes_that_an_lvis_file_does_not_list_cost_no_image(tmp_path: Path) -> None:
    images = [coco_image(1, neg_category_ids=[2, 999], coco_url=""), coco_image(2, neg_category_ids="none")]
    source = write(tmp_path, images, [coco_object(1, 1)], [{"id": 1, "name": "nut"}, {"id": 2, "name": "bolt"}])
    manifest = made(tmp_path, f"mine=lvis:{source}")
    assert {r.ids["mine"]: r.negative for r in records(tmp_path / "out").values()} == {1: {"mine": ["bolt"]}, 2: {}}
    assert manifest.repaired == {"mine": {"absent_classes": 2}}


@pytest.mark.parametrize(
    ("categories", "words"),
    [(["nut"], '"nut" is no object; give every'), ([{"id": 1, "name": ""}], "has no name"), ({"1": "nut"}, "no list")],
)
def test_categories_that_are_none_are_told(tmp_path: Path, categories: Any, words: str) -> None:
    with pytest.raises(DataError, match=rf"own\.json: .*{words}"):
        made(tmp_path, f"mine=coco:{write(tmp_path, [coco_image(1)], [coco_object(1, 1)], categories)}")


def test_text_that_is_not_utf_8_is_told(tmp_path: Path) -> None:
    source = write(tmp_path, [coco_image(1)], [coco_object(1, 1)], [{"id": 1, "name": "nut"}])
    (tmp_path / "own.json").write_bytes((tmp_path / "own.json").read_bytes().replace(b'"nut"', b'"n\xfct"'))
    with pytest.raises(DataError, match=r"own\.json: its categories are not UTF-8 text .*save the file as UTF-8"):
        made(tmp_path, f"mine=coco:{source}")
