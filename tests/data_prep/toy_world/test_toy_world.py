"""The toy world: a pure function of its seed, in the original layouts, fair to every class, broken as counted."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from data_prep.storage.errors import ConfigError, DataError
from data_prep.toy_world import Style, class_groups, write_toy_world
from data_prep.toy_world.classes import HUE_NAMES, rare_classes
from data_prep.toy_world.scenes import draw_scene

STYLES: tuple[Style, ...] = ("hues", "pairs")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("toy") / "world"
    write_toy_world(out, images=60, val_images=10)
    return out


def read(world: Path, name: str) -> Any:
    return json.loads((world / name).read_text())


def contents(world: Path) -> dict[str, bytes]:
    return {str(path.relative_to(world)): path.read_bytes() for path in sorted(world.rglob("*")) if path.is_file()}


def test_same_choices_give_the_same_bytes_and_another_seed_another_world(tmp_path: Path) -> None:
    for name, seed in (("first", 3), ("again", 3), ("other", 4)):
        write_toy_world(tmp_path / name, images=20, val_images=5, seed=seed)
    first, again, other = (contents(tmp_path / name) for name in ("first", "again", "other"))
    assert first == again
    assert first.keys() == other.keys()
    jpegs = [name for name in first if name.endswith(".jpg")]
    assert all(first[name] != other[name] for name in jpegs)


def test_an_image_does_not_depend_on_how_many_there_are(world: Path, tmp_path: Path) -> None:
    write_toy_world(tmp_path / "small", images=20, val_images=5)
    large = contents(world)
    jpegs = {name: content for name, content in contents(tmp_path / "small").items() if name.endswith(".jpg")}
    assert jpegs
    assert all(large[name] == content for name, content in jpegs.items())


def test_a_smaller_world_tells_what_is_too_small_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--images 3"):
        write_toy_world(tmp_path / "w", images=3)
    with pytest.raises(ConfigError, match="--val-images 0"):
        write_toy_world(tmp_path / "w", val_images=0)
    assert not list(tmp_path.iterdir())


def test_an_existing_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match="not an empty folder"):
        write_toy_world(tmp_path, images=20, val_images=5)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("split", ["train", "val"])
def test_cocos_file_has_its_layout(world: Path, split: str) -> None:
    document = read(world, f"coco/annotations/instances_{split}2017.json")
    assert set(document) == {"info", "licenses", "categories", "images", "annotations"}
    categories = {category["id"]: category for category in document["categories"]}
    assert len(categories) == 60 < max(categories)
    assert {category["name"] for category in categories.values()} == {name for g in class_groups("hues") for name in g}
    images = {image["id"]: image for image in document["images"]}
    assert len(images) == {"train": 36, "val": 10}[split]
    annotations = document["annotations"]
    assert [annotation["id"] for annotation in annotations] == list(range(1, len(annotations) + 1))
    for annotation in annotations:
        image = images[annotation["image_id"]]
        assert annotation["category_id"] in categories
        x, y, w, h = annotation["bbox"]
        assert min(x, y) >= 0 < min(w, h)
        assert x + w <= image["width"] + 0.01
        assert y + h <= image["height"] + 0.01
        assert annotation["bbox"] == [round(value, 2) for value in annotation["bbox"]]
        segmentation = annotation["segmentation"]
        assert isinstance(segmentation, dict if annotation["iscrowd"] else list)
        runs = coco_mask.frPyObjects(segmentation, image["height"], image["width"])
        runs = runs if annotation["iscrowd"] else coco_mask.merge(runs)
        assert coco_mask.toBbox(runs).tolist() == pytest.approx(annotation["bbox"], abs=1.6)
        assert float(coco_mask.area(runs)) == pytest.approx(annotation["area"], rel=0.15)
    jpegs = {path.name for path in (world / f"coco/{split}2017").iterdir()}
    assert jpegs == {image["file_name"] for image in images.values()}


def test_visual_genomes_files_have_their_layout(world: Path) -> None:
    image_data, objects = read(world, "visual_genome/image_data.json"), read(world, "visual_genome/objects.json")
    troubles = read(world, "troubles.json")
    assert set(image_data[0]) == {"width", "height", "image_id", "url", "coco_id", "flickr_id"}
    known = {record["image_id"]: record for record in image_data}
    stray = [record["image_id"] for record in objects if record["image_id"] not in known]
    assert stray == troubles["objects_without_image_data"]
    for record in image_data:
        name = record["url"].removeprefix("https://visual-genome.invalid/")
        path = world / "visual_genome" / name
        assert name.startswith("VG_100K/" if record["image_id"] % 2 else "VG_100K_2/")
        if f"visual_genome/{name}" in troubles["missing_jpegs"]:
            assert not path.exists()
        else:
            with Image.open(path) as image:
                assert image.size == (record["width"], record["height"])
    everything = [member for record in objects for member in record["objects"]]
    assert all(isinstance(member[key], int) for member in everything for key in ("x", "y", "w", "h"))
    ids = [member["object_id"] for member in everything]
    assert len(set(ids)) == len(ids)


def test_shared_images_have_another_size_and_scaled_boxes_in_visual_genome(world: Path) -> None:
    coco = read(world, "coco/annotations/instances_train2017.json")
    coco_images = {image["id"]: image for image in coco["images"]}
    shared = [r for r in read(world, "visual_genome/image_data.json") if r["coco_id"] in coco_images]
    assert len(shared) >= 15
    for record in shared:
        image = coco_images[record["coco_id"]]
        assert record["width"] != image["width"]
        assert record["width"] / record["height"] == pytest.approx(image["width"] / image["height"], rel=0.01)
        assert f"/{record['flickr_id']}_" in image["flickr_url"]


def test_troubles_are_there_as_counted(world: Path) -> None:
    troubles = read(world, "troubles.json")
    counted: Counter[str] = sum((Counter(split) for split in troubles["visual_genome"].values()), Counter())
    objects = [member for record in read(world, "visual_genome/objects.json") for member in record["objects"]]
    assert counted["without_synset"] == sum(not member["synsets"] for member in objects) > 0
    assert counted["two_synsets"] == sum(len(member["synsets"]) == 2 for member in objects) > 0
    assert counted["zero_width"] == sum(member["w"] == 0 for member in objects) > 0
    assert counted["duplicated_box"] > 0
    assert troubles["rare_synsets"]
    single = Counter(member["synsets"][0] for member in objects if len(member["synsets"]) == 1)
    assert troubles["rare_synsets"] == {r.synset: single[r.synset] for r in rare_classes("hues") if single[r.synset]}
    sizes = {record["image_id"]: record for record in read(world, "visual_genome/image_data.json")}
    past = [
        member
        for record in read(world, "visual_genome/objects.json")
        if (size := sizes.get(record["image_id"]))
        for member in record["objects"]
        if min(member["x"], member["y"]) < 0
        or member["x"] + member["w"] > size["width"]
        or member["y"] + member["h"] > size["height"]
    ]
    assert counted["box_past_edge"] == len(past) > 0


def test_ids_are_missing_as_counted(world: Path) -> None:
    troubles = read(world, "troubles.json")["visual_genome"]
    records = read(world, "visual_genome/image_data.json")
    val = [record for record in records if record["image_id"] >= 2_300_000]
    assert troubles["val"]["shared_without_any_id"] == 1
    assert sum(record["coco_id"] is None and record["flickr_id"] is None for record in val) == 1
    assert sum(record["coco_id"] is None and record["flickr_id"] is not None for record in val) == 1
    coco = read(world, "coco/annotations/instances_train2017.json")["images"]
    urls = [image["flickr_url"] for image in coco]
    hidden = [
        record
        for record in records
        if record["coco_id"] is None and any(f"/{record['flickr_id']}_" in url for url in urls)
    ]
    assert troubles["train"]["shared_without_coco_id"] == len(hidden) > 0


def test_one_jpeg_of_each_source_is_truncated(world: Path) -> None:
    truncated = read(world, "troubles.json")["truncated_jpegs"]
    broken = []
    for path in sorted(world.rglob("*.jpg")):
        try:
            with Image.open(path) as image:
                image.load()
        except OSError:
            broken.append(str(path.relative_to(world)))
    assert sorted(truncated) == broken
    assert sorted(name.split("/")[0] for name in broken) == ["coco", "visual_genome"]


def test_crowds_are_counted_and_their_members_stand_one_by_one_in_visual_genome(world: Path) -> None:
    for split in ("train", "val"):
        annotations = read(world, f"coco/annotations/instances_{split}2017.json")["annotations"]
        crowds = sum(annotation["iscrowd"] for annotation in annotations)
        assert read(world, "troubles.json")["coco"][split]["crowds"] == crowds == 1
    scene = draw_scene(np.random.default_rng(5), "hues", with_rare=True, with_crowd=True)
    members = [member for member in scene.objects if member.in_crowd]
    assert len(members) >= 5
    assert len({member.toy_class for member in members}) == 1


def test_rare_classes_are_visual_genomes_alone(world: Path) -> None:
    rare = {member.synset for member in rare_classes("hues")}
    categories = read(world, "coco/annotations/instances_train2017.json")["categories"]
    assert not rare & {f"{category['name'].replace(' ', '_')}.n.01" for category in categories}
    shown = sum(read(world, "troubles.json")["rare_synsets"].values())
    objects = sum(len(record["objects"]) for record in read(world, "visual_genome/objects.json"))
    assert 0.03 < shown / objects < 0.15


def test_mask_classes_name_the_48_that_keep_masks(world: Path) -> None:
    for held_out, group in enumerate(class_groups("hues")):
        kept = (world / f"mask_classes/without_group_{held_out}.txt").read_text().splitlines()
        assert len(set(kept)) == len(kept) == 48
        assert not set(kept) & set(group)


def test_the_pairs_style_writes_the_same_files(tmp_path: Path) -> None:
    write_toy_world(tmp_path / "pairs", images=20, val_images=5, style="pairs")
    categories = read(tmp_path / "pairs", "coco/annotations/instances_train2017.json")["categories"]
    first, second = categories[0]["name"].split(" and ")
    assert {first, second} <= set(HUE_NAMES)
    assert (tmp_path / "pairs/visual_genome/objects.json").exists()
    assert not (tmp_path / "pairs.partial").exists()
