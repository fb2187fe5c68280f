"""Ids of images that are text, that two images or two files have, or that no image has."""

import tarfile
from pathlib import Path

from data_prep.format.reader import Dataset
from tests.data_prep.prepare.own_source import made, write
from tests.data_prep.prepare.test_small_datasets import records
from tests.data_prep.rejects import read_rejects
from tests.data_prep.small_sources import coco_image, coco_object


def test_one_id_for_two_images_costs_both_and_their_objects(tmp_path: Path) -> None:
    images = [*map(coco_image, range(1, 9)), coco_image(1, file_name="9.jpg")]
    source = write(tmp_path, images, [coco_object(n, n) for n in range(1, 9)])
    manifest = made(tmp_path, f"mine=coco:{source}")
    assert len(records(tmp_path / "out")) == 7
    assert manifest.rejected == {"mine": {"duplicate_id": 2}}
    assert manifest.left_out == {"mine": {"photograph_rejected": 1}}


def test_several_exports_that_count_from_one_are_one_source(tmp_path: Path) -> None:
    one = write(tmp_path / "one", [coco_image(1, file_name="a.jpg")], [coco_object(1, 1)], [{"id": 1, "name": "nut"}])
    two = write(tmp_path / "two", [coco_image(1, file_name="b.jpg")], [coco_object(1, 1)], [{"id": 1, "name": "bolt"}])
    manifest = made(tmp_path, f"mine=coco:{one}", f"mine=coco:{two}")
    found = list(records(tmp_path / "out").values())
    assert {a.category for record in found for a in record.objects["mine"]} == {"nut", "bolt"}
    assert len({record.ids["mine"] for record in found}) == 2
    assert [record.original_ids for record in found if record.ids["mine"] != 1] == [{"mine": "1"}]
    assert manifest.repaired == {"mine": {"id_mapped": 1}}


SECOND = 142705367245481
"""The new id of image 1 of another file named `own.json`."""


def job(folder: Path, name: str, number: int = 1) -> str:
    """An export of a project whose files are all called alike, with one image of that id."""
    return f"mine=coco:{write(folder, [coco_image(number, file_name=name)], [coco_object(1, number)])}"


def test_any_number_of_exports_with_one_file_name_have_ids_of_their_own(tmp_path: Path) -> None:
    manifest = made(tmp_path, *(job(tmp_path / f"job{n}", f"{n}.jpg") for n in range(1, 5)))
    rows = Dataset.open(f"{tmp_path}/out").rows
    assert len({row.key for row in rows}) == len({row.ids["mine"] for row in rows}) == 4
    (shard,) = manifest.shards
    with tarfile.open(tmp_path / "out" / shard.path) as tar:
        assert len(set(tar.getnames())) == len(tar.getnames()) == 8
    assert manifest.repaired == {"mine": {"id_mapped": 3}}
    assert [file.path for file in manifest.sources[0].files] == [f"job{n}/own.json" for n in range(1, 5)]


def test_the_second_of_two_exports_keeps_the_id_that_its_files_name_gives(tmp_path: Path) -> None:
    made(tmp_path, job(tmp_path / "one", "a.jpg"), job(tmp_path / "two", "b.jpg"))
    assert {row.ids["mine"] for row in Dataset.open(f"{tmp_path}/out").rows} == {1, SECOND}


def test_a_new_id_is_no_other_images(tmp_path: Path) -> None:
    made(
        tmp_path,
        job(tmp_path / "one", "a.jpg"),
        job(tmp_path / "two", "b.jpg"),
        job(tmp_path / "three", "c.jpg", SECOND),
    )
    ids = {row.ids["mine"] for row in Dataset.open(f"{tmp_path}/out").rows}
    assert len(ids) == 3
    assert {1, SECOND} < ids


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
