"""What would train a wrong model is settled, told or refused: repeated images, wrong sizes, boxes of other kinds."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from data_prep.format.manifest import Manifest
from data_prep.prepare.options import PrepareOptions
from data_prep.prepare.prepare import prepare
from data_prep.storage.errors import DataError
from tests.data_prep.prepare.test_small_datasets import records
from tests.data_prep.rejects import read_rejects
from tests.data_prep.small_sources import (
    CATEGORIES,
    coco_image,
    coco_object,
    jpeg,
    prepare_plainly,
    vg_image,
    vg_object,
    write_vg,
)


def write(folder: Path, images: list[Any], annotations: list[Any], categories: list[Any] = CATEGORIES) -> str:
    """A file of one's own and its images; returns the source's path."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    document = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "own.json").write_text(json.dumps(document))
    for image in images:
        size = (image.get("width") or 40, image.get("height") or 30)
        seed = int.from_bytes(image["file_name"].encode()[:12])
        (folder / "images" / image["file_name"]).write_bytes(jpeg(seed, size))
    return f"{folder}/own.json,{folder}/images"


def made(folder: Path, *sources: str) -> Manifest:
    return prepare_plainly(folder / "out", *sources, max_rejected=0.3)


def test_an_image_under_two_ids_is_one_with_the_objects_of_both(tmp_path: Path) -> None:
    again = coco_image(2, file_name="000000000001.jpg")
    objects = [coco_object(1, 1), coco_object(2, 2, bbox=[12, 3, 10, 5], segmentation=[])]
    manifest = made(tmp_path, f"mine=coco:{write(tmp_path, [coco_image(1), again], objects)}")
    (record,) = records(tmp_path / "out").values()
    assert [a.id for a in record.objects["mine"]] == [1, 2]
    assert manifest.left_out == {"mine": {"same_file": 1}}


def test_a_record_that_stands_twice_is_one(tmp_path: Path) -> None:
    manifest = made(tmp_path, f"mine=coco:{write(tmp_path, [coco_image(1), coco_image(1)], [coco_object(1, 1)])}")
    assert len(records(tmp_path / "out")) == 1
    assert manifest.left_out == {"mine": {"same_record": 1}}


def test_one_id_for_two_images_costs_both_and_their_objects(tmp_path: Path) -> None:
    images = [*map(coco_image, range(1, 9)), coco_image(1, file_name="9.jpg")]
    source = write(tmp_path, images, [coco_object(n, n) for n in range(1, 9)])
    manifest = made(tmp_path, f"mine=coco:{source}")
    assert len(records(tmp_path / "out")) == 7
    assert manifest.rejected == {"mine": {"duplicate_id": 2}}
    assert manifest.left_out == {"mine": {"photograph_rejected": 1}}


def test_an_object_that_is_anothers_double_is_left_out_but_for_cocos(tmp_path: Path) -> None:
    source = write(tmp_path, [coco_image(1)], [coco_object(1, 1), coco_object(2, 1), coco_object(3, 1, category_id=3)])
    manifest = made(tmp_path, f"mine=coco:{source}")
    assert [a.id for a in records(tmp_path / "out")["mine-000000000001"].objects["mine"]] == [1, 3]
    assert manifest.left_out == {"mine": {"doubled": 1}}
    prepare_plainly(tmp_path / "coco", f"coco=coco:{source}")
    assert [a.id for a in records(tmp_path / "coco")["coco-000000000001"].objects["coco"]] == [1, 2, 3]


def test_a_repair_of_a_double_is_not_counted(tmp_path: Path) -> None:
    source = write(tmp_path, [coco_image(1)], [coco_object(n, 1, iscrowd=False) for n in (1, 2, 3)])
    manifest = made(tmp_path, f"mine=coco:{source}")
    assert (manifest.left_out, manifest.repaired) == ({"mine": {"doubled": 2}}, {"mine": {"number_written": 1}})


def test_doubles_in_two_files_of_a_source_are_left_out_too(tmp_path: Path) -> None:
    source = write(tmp_path, [coco_image(1)], [coco_object(1, 1)])
    manifest = made(tmp_path, f"mine=coco:{source}", f"mine=coco:{source}")
    assert len(records(tmp_path / "out")["mine-000000000001"].objects["mine"]) == 1
    assert manifest.left_out == {"mine": {"doubled": 1, "same_file": 1}}


def test_a_class_under_two_ids_is_one_and_told(tmp_path: Path) -> None:
    objects = [coco_object(1, 1), coco_object(2, 1, category_id=2, segmentation=[])]
    source = write(tmp_path, [coco_image(1)], objects, [{"id": 1, "name": "nut"}, {"id": 2, "name": "nut"}])
    assert made(tmp_path, f"mine=coco:{source}").repaired == {"mine": {"category_ids_joined": 1}}


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


def test_an_id_that_is_text_is_kept_for_results(tmp_path: Path) -> None:
    source = write(tmp_path, [coco_image(1, id="0007")], [coco_object(1, 7)])
    made(tmp_path, f"mine=coco:{source}")
    (record,) = records(tmp_path / "out").values()
    assert (record.ids, record.original_ids) == ({"mine": 7}, {"mine": "0007"})


def test_an_annotation_of_an_image_that_is_not_listed_is_told_with_the_id(tmp_path: Path) -> None:
    objects = [
        *(coco_object(n, 1, bbox=[n, 3, 10, 5], segmentation=[]) for n in range(8)),
        coco_object(9, 1, image_id="b.jpg"),
    ]
    made(tmp_path, f"mine=coco:{write(tmp_path, [coco_image(1)], objects)}")
    (reject,) = read_rejects(f"{tmp_path}/out/rejects.parquet")
    assert reject.excerpt.startswith('image_id: "b.jpg" is not listed: {')


def test_boxes_within_the_first_pixel_are_noted_and_most_of_them_refused(tmp_path: Path) -> None:
    boxes = [[2, 3, 10, 5], [4, 3, 10, 5], [6, 3, 10, 5], [0.1, 0.2, 0.5, 0.5]]
    objects = [coco_object(n, 1, bbox=box, segmentation=[]) for n, box in enumerate(boxes)]
    manifest = made(tmp_path / "few", f"mine=coco:{write(tmp_path / 'few', [coco_image(1)], objects)}")
    assert manifest.noted["mine"]["box_of_fractions"] == 1
    most = [coco_object(n, 1, bbox=[n / 9, 0.2, 0.1, 0.5], segmentation=[]) for n in range(4)]
    source = write(tmp_path / "most", [coco_image(1)], most)
    with pytest.raises(DataError, match=r"4 of 4 boxes lie between 0 and 1"):
        prepare(PrepareOptions((f"mine=coco:{source}",), f"{tmp_path}/refused"))


def test_several_exports_that_count_from_one_are_one_source(tmp_path: Path) -> None:
    one = write(tmp_path / "one", [coco_image(1, file_name="a.jpg")], [coco_object(1, 1)], [{"id": 1, "name": "nut"}])
    two = write(tmp_path / "two", [coco_image(1, file_name="b.jpg")], [coco_object(1, 1)], [{"id": 1, "name": "bolt"}])
    manifest = made(tmp_path, f"mine=coco:{one}", f"mine=coco:{two}")
    found = list(records(tmp_path / "out").values())
    assert {a.category for record in found for a in record.objects["mine"]} == {"nut", "bolt"}
    assert len({record.ids["mine"] for record in found}) == 2
    assert [record.original_ids for record in found if record.ids["mine"] != 1] == [{"mine": "1"}]
    assert manifest.repaired == {"mine": {"id_mapped": 1}}


def test_a_file_that_two_sources_annotate_is_one_image(tmp_path: Path) -> None:
    source = write(tmp_path, [coco_image(1)], [coco_object(1, 1)])
    made(tmp_path, f"mine=coco:{source}", f"yours=coco:{source}")
    (record,) = records(tmp_path / "out").values()
    assert record.ids == {"mine": 1, "yours": 1}
    assert record.objects["mine"] == record.objects["yours"]


def test_a_training_image_that_is_a_validation_image_too_is_kept_out_of_training(tmp_path: Path) -> None:
    source = write(tmp_path, [coco_image(1)], [coco_object(1, 1)])
    manifest = made(tmp_path, f"mine=coco:{source}", f"mine@val=coco:{source}")
    assert manifest.counts.keys() == {"val"}
    assert manifest.left_out["mine"]["val_in_train"] == 1
    assert [(each.by, each.source) for each in manifest.held_out] == [("file", "mine")]


def test_the_same_bytes_in_two_sources_or_splits_are_noted(tmp_path: Path) -> None:
    one = write(tmp_path / "one", [coco_image(1)], [coco_object(1, 1)])
    two = write(tmp_path / "two", [coco_image(1)], [coco_object(1, 1)])
    assert made(tmp_path, f"mine=coco:{one}", f"yours=coco:{two}").noted["yours"]["same_image_other_source"] == 1
    manifest = prepare_plainly(tmp_path / "splits", f"mine=coco:{one}", f"mine@val=coco:{two}")
    assert manifest.noted["mine"]["same_image_other_split"] == 1


@pytest.mark.parametrize("size", [{"width": None}, {"width": 0, "height": 0}, {"width": "wide"}, {"height": 31}])
def test_the_size_of_the_file_is_taken_where_the_list_lacks_it_or_is_wrong(
    tmp_path: Path, size: dict[str, Any]
) -> None:
    source = write(tmp_path, [coco_image(1)], [coco_object(1, 1)])
    document = json.loads((tmp_path / "own.json").read_text())
    document["images"][0].update(size)
    (tmp_path / "own.json").write_text(json.dumps(document))
    manifest = made(tmp_path, f"mine=coco:{source}")
    (record,) = records(tmp_path / "out").values()
    assert (record.width, record.height) == (40, 30)
    assert record.objects["mine"][0].mask is not None
    assert manifest.repaired == {"mine": {"size_from_file": 1}}


@pytest.mark.parametrize("size", [(30, 40), (80, 60), (12, 30)])
def test_annotations_of_other_pixels_are_rejected_with_both_sizes(tmp_path: Path, size: tuple[int, int]) -> None:
    images = [coco_image(number) for number in range(1, 6)]
    source = write(tmp_path, images, [coco_object(n, n, bbox=[20, 3, 18, 5], segmentation=[]) for n in range(1, 6)])
    (tmp_path / "images/000000000005.jpg").write_bytes(jpeg(5, size))
    made(tmp_path, f"mine=coco:{source}")
    (reject,) = read_rejects(f"{tmp_path}/out/rejects.parquet")
    assert (reject.id, reject.reason) == (5, "size_mismatch")
    assert f"{size[0]}×{size[1]} pixels, listed as 40×30" in reject.excerpt


@pytest.mark.parametrize(
    ("box", "look"),
    [([20, 15, 38, 28], "look like x1 y1 x2 y2"), ([0.2, 0.1, 0.5, 0.4], "look like fractions of the image")],
)
def test_boxes_of_another_kind_are_refused_with_what_they_look_like(
    tmp_path: Path, box: list[float], look: str
) -> None:
    images = [coco_image(number) for number in range(1, 11)]
    source = write(tmp_path, images, [coco_object(n, n, bbox=box, segmentation=[]) for n in range(1, 11)])
    with pytest.raises(DataError, match=look):
        made(tmp_path, f"mine=coco:{source}")


def test_classes_alike_and_without_objects_and_crowds_alone_are_noted(tmp_path: Path) -> None:
    names = ["Nut", "nut", "hex bolt", "hex_bolt", "washer"]
    categories = [{"id": number, "name": name} for number, name in enumerate(names, 1)]
    objects = [coco_object(n, 1, category_id=n, iscrowd=1) for n in range(1, 5)]
    manifest = made(tmp_path, f"mine=coco:{write(tmp_path, [coco_image(1)], objects, categories)}")
    assert manifest.noted == {"mine": {"class_names_alike": 4, "class_without_objects": 1, "only_crowds": 1}}


def test_of_two_categories_of_one_name_the_one_with_objects_gives_its_id(tmp_path: Path) -> None:
    categories = [{"id": 0, "name": "nut"}, {"id": 1, "name": "nut", "supercategory": "nut"}]
    made(tmp_path, f"mine=coco:{write(tmp_path, [coco_image(1)], [coco_object(1, 1)], categories)}")
    (vocabulary_class,) = json.loads((tmp_path / "out/vocabulary.json").read_text())["classes"]
    assert vocabulary_class["category_id"] == 1


def test_a_refused_dataset_leaves_its_rejects_and_the_next_run_works(tmp_path: Path) -> None:
    source = write(
        tmp_path, [coco_image(1)], [coco_object(n, 1, bbox=[1, 1, 0, 2], segmentation=[]) for n in range(1, 9)]
    )
    options = PrepareOptions((f"mine=coco:{source}",), f"{tmp_path}/out")
    with pytest.raises(DataError, match=r"own\.json: annotation 1, bbox: .*out/rejects\.parquet lists all of them"):
        prepare(options)
    assert {reject.reason for reject in read_rejects(f"{tmp_path}/out/rejects.parquet")} == {"zero_size"}
    write(tmp_path, [coco_image(1)], [coco_object(1, 1)])
    assert prepare(options).rejected == {}


def test_visual_genomes_numbers_may_be_text_and_a_record_may_stand_twice(tmp_path: Path) -> None:
    image = {**vg_image(9), "image_id": "9", "width": 40.0, "coco_id": "", "flickr_id": "123"}
    rewritten = {**vg_object(8, x=20.0), "object_id": "8", "w": "5", "synsets": "cat.n.01"}
    write_vg(tmp_path / "vg", [vg_image(9)], {})
    (tmp_path / "vg/image_data.json").write_text(json.dumps([image]))
    listed = {"image_id": "9", "objects": [vg_object(7), rewritten]}
    (tmp_path / "vg/objects.json").write_text(json.dumps([listed, listed]))
    manifest = prepare_plainly(tmp_path / "out", f"vg=vg:{tmp_path}/vg")
    assert [a.id for record in records(tmp_path / "out").values() for a in record.objects["vg"]] == [7, 8]
    assert manifest.left_out["vg"]["doubled"] == 2
    assert manifest.repaired["vg"]["number_written"] > 0
    assert manifest.rejected == {}


def test_visual_genomes_boxes_that_may_be_fractions_are_noted_or_refused(tmp_path: Path) -> None:
    fraction = vg_object(8, x=0.2, y=0.1, w=0.5, h=0.4)
    write_vg(tmp_path / "vg", [vg_image(9)], {9: [vg_object(7), fraction]})
    manifest = prepare_plainly(tmp_path / "out", f"vg=vg:{tmp_path}/vg")
    assert manifest.noted["vg"]["box_of_fractions"] == 1
    write_vg(tmp_path / "vg", [vg_image(9)], {9: [fraction] * 3})
    with pytest.raises(DataError, match="source vg: 3 of 3 boxes lie between 0 and 1"):
        prepare_plainly(tmp_path / "refused", f"vg=vg:{tmp_path}/vg")


@pytest.mark.parametrize("place", ["VG_100K", "images/VG_100K", "images2/VG_100K", "VG_100K/VG_100K"])
@pytest.mark.parametrize("top", ["", "visual_genome/"])
def test_visual_genome_may_lie_one_folder_deeper(tmp_path: Path, top: str, place: str) -> None:
    root = tmp_path / "vg" / top
    write_vg(root, [vg_image(9), vg_image(10)], {n: [vg_object(n)] for n in (9, 10)})
    moved = (root / "VG_100K/9.jpg").read_bytes()
    shutil.rmtree(root / "VG_100K")
    (root / place).mkdir(parents=True)
    (root / place / "9.jpg").write_bytes(moved)
    manifest = prepare_plainly(tmp_path / "out", f"vg=vg:{tmp_path}/vg")
    assert manifest.counts["train"]["vg"]["photographs"] == 2
    assert manifest.rejected == {}


def test_visual_genomes_images_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    write_vg(tmp_path / "vg", [vg_image(9)], {})
    (tmp_path / "vg/image_data.json").write_text(json.dumps([{**vg_image(9), "width": None}]))
    with pytest.raises(DataError, match=r"lists no images that can be read.*malformed 1×.*width: null"):
        prepare_plainly(tmp_path / "out", f"vg=vg:{tmp_path}/vg")


def test_absent_classes_that_an_lvis_file_does_not_list_cost_no_image(tmp_path: Path) -> None:
    images = [coco_image(1, neg_category_ids=[2, 999], coco_url=""), coco_image(2, neg_category_ids="none")]
    source = write(tmp_path, images, [coco_object(1, 1)], [{"id": 1, "name": "nut"}, {"id": 2, "name": "bolt"}])
    manifest = made(tmp_path, f"mine=lvis:{source}")
    assert {r.ids["mine"]: r.negative for r in records(tmp_path / "out").values()} == {1: {"mine": ["bolt"]}, 2: {}}
    assert manifest.repaired == {"mine": {"absent_classes": 2}}
