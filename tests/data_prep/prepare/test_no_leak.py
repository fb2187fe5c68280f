"""No image held out of training comes into it through another source, whatever the ids say."""

import json
import re
from pathlib import Path

import pytest

from data_prep.browse.page import BrowseOptions, browse
from data_prep.format.manifest import HeldOut
from data_prep.format.reader import Dataset
from data_prep.inspect.show import describe
from data_prep.inspect.verify import find_problems
from data_prep.plan.plan import read_plan, work_folder
from data_prep.prepare.options import PrepareOptions
from data_prep.prepare.prepare import prepare
from data_prep.shards.results import is_finished, result_path
from tests.data_prep.leaky_world import FULL, put, sources, write_genome, write_world
from tests.data_prep.pictures import copied, encoded, gradient, scene
from tests.data_prep.small_sources import coco_image, coco_object, prepare_plainly, vg_image, write_coco


@pytest.fixture
def world(tmp_path: Path) -> Path:
    return write_world(tmp_path)


def training(uri: Path) -> dict[str, set[str]]:
    """Key → sources of every training image."""
    return {row.key: set(row.ids) for row in Dataset.open(str(uri)).rows if row.split == "train"}


def test_what_shows_a_held_out_image_stays_out_of_training_and_is_listed(world: Path) -> None:
    manifest = prepare_plainly(world / "out", *sources(world))
    assert training(world / "out") == {"coco-000000000001": {"coco"}, "vg-0000000012": {"vg"}, "vg-0000000013": {"vg"}}
    assert manifest.held_out == (
        HeldOut("vg", 11, "content", "coco-000000000002"),
        HeldOut("vg", 14, "id_content_disagree", "coco-000000000001"),
        HeldOut("vg", 15, "id_content_disagree", "coco-000000000002"),
        HeldOut("vg", 16, "flickr_id", "coco-000000000003"),
    )
    assert manifest.left_out["vg"] == {"copy_of_val": 1, "id_content_disagree": 2, "photograph_left_out": 6}
    assert find_problems(str(world / "out")) == []


def test_show_counts_the_images_that_left_training_by_reason(world: Path) -> None:
    shown = describe(prepare_plainly(world / "out", *sources(world)))
    for line in (r"vg +content +1", r"vg +flickr_id +1", r"vg +id_content_disagree +2"):
        assert re.search(line, shown)


def test_the_page_counts_them_too(world: Path) -> None:
    prepare_plainly(world / "out", *sources(world))
    page = Path(browse(f"{world}/out", f"{world}/page.html", BrowseOptions(1, 1, 1))).read_text(encoding="utf-8")
    assert "whose ids name one image and whose file shows another" in page


def test_an_image_matched_by_ids_and_content_is_listed_with_the_held_out_image(world: Path) -> None:
    prepare_plainly(world / "out", *sources(world))
    dataset = Dataset.open(str(world / "out"))
    row = next(row for row in dataset.rows if row.key == "coco-000000000003")
    assert row.ids == {"coco": 3, "vg": 16}
    assert [a.id for a in dataset.read_record(row).objects["vg"]] == [160, 161]


def test_cocos_own_training_images_are_never_thinned(tmp_path: Path) -> None:
    write_coco(tmp_path / "coco", [coco_image(1, **FULL)], [coco_object(1, 1)])
    write_coco(tmp_path / "coco", [coco_image(2, **FULL)], [coco_object(2, 2)], "val")
    for path in (tmp_path / "coco").glob("*/*.jpg"):
        path.write_bytes(encoded(scene(2)))
    manifest = prepare_plainly(tmp_path / "out", f"coco=coco:{tmp_path}/coco")
    assert manifest.held_out == ()
    assert set(training(tmp_path / "out")) == {"coco-000000000001"}


def test_a_source_of_ones_own_is_compared_with_other_sources_and_not_with_itself(tmp_path: Path) -> None:
    for name, number in (("coco", 1), ("mine", 4)):
        write_coco(tmp_path / name, [coco_image(number, **FULL)], [coco_object(1, number)])
        write_coco(tmp_path / name, [coco_image(number + 1, **FULL)], [coco_object(1, number + 1)], "val")
    put(tmp_path / "coco/val2017/000000000002.jpg", encoded(scene(2)))
    put(tmp_path / "mine/train2017/000000000004.jpg", copied(scene(2)))
    both = (f"coco=coco:{tmp_path}/coco", f"mine=coco:{tmp_path}/mine")
    manifest = prepare_plainly(tmp_path / "both", *both)
    assert manifest.held_out == (HeldOut("mine", 4, "content", "coco-000000000002"),)
    assert set(training(tmp_path / "both")) == {"coco-000000000001"}
    put(tmp_path / "mine/val2017/000000000005.jpg", encoded(scene(2)))
    assert prepare_plainly(tmp_path / "one", both[1]).held_out == ()


def test_two_skies_are_two_images_and_the_same_sky_twice_is_one(tmp_path: Path) -> None:
    write_coco(tmp_path / "coco", [coco_image(1, **FULL)], [coco_object(1, 1)])
    write_coco(tmp_path / "coco", [coco_image(2, **FULL)], [coco_object(2, 2)], "val")
    sky, other = encoded(gradient(130, 220, 2)), encoded(gradient(135, 215, 3))
    put(tmp_path / "coco/val2017/000000000002.jpg", sky)
    write_genome(tmp_path / "vg", [vg_image(11, **FULL), vg_image(12, **FULL)], {11: sky, 12: other})
    manifest = prepare_plainly(tmp_path / "out", *sources(tmp_path))
    assert manifest.held_out == (HeldOut("vg", 11, "content", "coco-000000000002"),)


@pytest.mark.parametrize("broken", [b"", None])
def test_a_copy_whose_own_file_cannot_be_read_is_believed(tmp_path: Path, broken: bytes | None) -> None:
    write_coco(tmp_path / "coco", [coco_image(1, **FULL)], [coco_object(1, 1)])
    write_genome(tmp_path / "vg", [vg_image(11, coco_id=1, **FULL)], {})
    path = tmp_path / "vg/VG_100K/11.jpg"
    path.unlink() if broken is None else path.write_bytes(broken)
    prepare_plainly(tmp_path / "out", *sources(tmp_path))
    assert training(tmp_path / "out") == {"coco-000000000001": {"coco", "vg"}}


def test_any_number_of_workers_finds_the_same(world: Path) -> None:
    plain = prepare_plainly(world / "plain", *sources(world), shard_bytes=128 << 20)
    for workers in (1, 2):
        out = f"{world}/{workers}"
        manifest = prepare(PrepareOptions(sources=sources(world), out=out, max_rejected=1.0, workers=workers))
        assert manifest.shards == plain.shards
        assert manifest.held_out == plain.held_out


def test_a_held_out_shard_is_finished_only_with_what_others_are_compared_with(world: Path, unfinished: Path) -> None:
    plan = read_plan(str(unfinished))
    held_out = [n for n, shard in enumerate(plan.shards) if shard.split == "val"]
    assert all(is_finished(plan, number) for number in range(len(plan.shards)))
    pictures = Path(work_folder(str(unfinished))) / "held_out" / f"{plan.shards[held_out[0]].path}.npy"
    whole = pictures.read_bytes()
    pictures.write_bytes(whole[:-1])
    assert not is_finished(plan, held_out[0])
    for number in set(range(len(plan.shards))) - set(held_out):
        Path(result_path(plan, number)).unlink()
    assert prepare(PrepareOptions(sources=sources(world), out=str(unfinished), max_rejected=1.0)).held_out
    expected = prepare_plainly(world / "whole", *sources(world), shard_bytes=128 << 20)
    assert Dataset.open(str(unfinished)).manifest.shards == expected.shards


def test_another_held_out_image_makes_training_shards_anew(world: Path, unfinished: Path) -> None:
    put(world / "coco/val2017/000000000002.jpg", encoded(scene(99)))
    manifest = prepare(PrepareOptions(sources=sources(world), out=str(unfinished), max_rejected=1.0))
    assert "vg-0000000011" in training(unfinished)
    assert 11 not in {image.id for image in manifest.held_out}


@pytest.fixture
def unfinished(world: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dataset of the world, all of its shards written and not yet published."""
    with monkeypatch.context() as patch:
        patch.setattr("data_prep.prepare.publish.remove_folder", lambda _: None)
        prepare(PrepareOptions(sources=sources(world), out=f"{world}/unfinished", max_rejected=1.0))
    (world / "unfinished/manifest.json").unlink()
    return world / "unfinished"


def test_every_copy_of_the_real_samples_validation_leaves_training(tmp_path: Path, real_sample: Path) -> None:
    both = (f"coco=coco:{real_sample}/coco", f"vg=vg:{real_sample}/visual_genome")
    manifest = prepare_plainly(tmp_path / "real", *both)
    assert len(manifest.held_out) == 12
    assert {image.by for image in manifest.held_out} == {"coco_id", "flickr_id", "content"}
    assert manifest.left_out["vg"]["copy_of_val"] == sum(image.by == "content" for image in manifest.held_out)
    assert "id_content_disagree" not in manifest.left_out["vg"]
    val = {row.key for row in Dataset.open(str(tmp_path / "real")).rows if row.split == "val"}
    assert {image.key for image in manifest.held_out} <= val
    listed = json.loads((real_sample / "visual_genome/image_data.json").read_text())
    unknown = [image for image in listed if image["coco_id"] is None and image["flickr_id"] is None]
    alone = [key for key, of in training(tmp_path / "real").items() if of == {"vg"}]
    assert len(alone) == len(unknown) - manifest.left_out["vg"]["copy_of_val"]
