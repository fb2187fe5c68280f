"""Audit finds on a finished dataset what should not be in its training side, and says so with its exit status."""

import re
from pathlib import Path

import pytest

from data_prep.inspect.audit import Finding, audit
from data_prep.storage.errors import ConfigError, DataError, MaskxError
from tests.data_prep.leaky_world import FULL, put, sources, write_world
from tests.data_prep.pictures import copied, encoded, gradient, scene
from tests.data_prep.small_sources import coco_image, coco_object, prepare_plainly, write_coco
from tests.data_prep.test_commands import typed
from tests.processes import first_worker_killed


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`leaky` was prepared without COCO's validation images, `sound` with them."""
    folder = write_world(tmp_path_factory.mktemp("world"))
    coco, vg = sources(folder)
    train = f"coco=coco:{folder}/coco/annotations/instances_train2017.json,{folder}/coco/train2017"
    prepare_plainly(folder / "leaky", train, vg)
    prepare_plainly(folder / "sound", coco, vg)
    return folder


@pytest.mark.parametrize("workers", [1, 2])
def test_a_planted_leak_is_found_by_content_and_by_id(world: Path, workers: int) -> None:
    found = audit(f"{world}/leaky", f"coco=coco:{world}/coco", workers=workers)
    val = f"{world}/coco/val2017"
    assert sorted(found.leaks) == [
        Finding("vg-0000000011", "content", f"{val}/000000000002.jpg"),
        Finding("vg-0000000016", "content", f"{val}/000000000003.jpg"),
        Finding("vg-0000000016", "flickr_id", f"{val}/000000000003.jpg"),
    ]
    assert (found.training, found.held_out, found.near_duplicates) == (6, 2, ())


def test_a_worker_that_is_killed_ends_in_one_sentence(world: Path) -> None:
    sentence = "a worker process was killed, often for lack of memory; give fewer --workers"
    with first_worker_killed(), pytest.raises(MaskxError, match=sentence):
        audit(f"{world}/leaky", f"coco=coco:{world}/coco", workers=2)


def test_a_folder_of_images_is_enough(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, sentence = typed(capsys, "audit", f"{world}/leaky", "--against", f"{world}/coco/val2017")
    assert code == 1
    assert re.search(r"vg-0000000011 +content +000000000002\.jpg", out)
    assert "2 of its training images are held-out ones" in sentence


def test_a_sound_dataset_passes(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = typed(capsys, "audit", f"{world}/sound", "--against", f"coco=coco:{world}/coco")
    assert code == 0
    assert "3 training images compared with 2 held-out ones" in out
    assert "held out, and in training: 0" in out


def test_near_duplicates_of_cocos_own_are_told_apart_and_are_no_failure(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "1.jpg").write_bytes(encoded(scene(1), 50))
    code, out, sentence = typed(capsys, "audit", f"{world}/sound", "--against", str(tmp_path))
    assert code == 1
    own = out.partition("near-duplicates within one source or of COCO")[2]
    assert re.search(r"coco-000000000001 +content +1\.jpg", own)
    assert "1 of its training images" in sentence  # Visual Genome's copy of it, which has no id
    coco = world / "coco"
    alone = f"coco=coco:{coco}/annotations/instances_train2017.json,{coco}/train2017"
    prepare_plainly(tmp_path / "alone", alone)
    assert typed(capsys, "audit", f"{tmp_path}/alone", "--against", str(tmp_path))[0] == 0


def test_an_image_with_a_held_out_coco_id_is_a_leak_even_of_coco(world: Path) -> None:
    coco = world / "coco"
    again = f"coco@val=coco:{coco}/annotations/instances_train2017.json,{coco}/train2017"
    assert (
        Finding("coco-000000000001", "coco_id", f"{coco}/train2017/000000000001.jpg")
        in audit(f"{world}/sound", again).leaks
    )


@pytest.fixture(scope="module")
def custom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Custom data with near-duplicates: of `mine`, training image 2 shows what validation image 1 shows, and has its
    Flickr id; of `more`, image 7 shows what `mine`'s validation image 2 shows. Ids begin at 1 in every file."""
    folder = tmp_path_factory.mktemp("custom")
    url = "https://live.staticflickr.com/1/77_abc_z.jpg"
    mine, more = folder / "mine", folder / "more"
    train = [coco_image(1, **FULL), coco_image(2, flickr_url=url, **FULL)]
    val = [coco_image(1, flickr_url=url, **FULL), coco_image(2, **FULL)]
    write_coco(mine, train, [coco_object(1, 1), coco_object(2, 2)])
    write_coco(mine, val, [coco_object(1, 1), coco_object(2, 2)], "val")
    write_coco(more, [coco_image(7, **FULL), coco_image(8, **FULL)], [coco_object(1, 7), coco_object(2, 8)])
    for file, data in (
        (mine / "train2017/000000000001.jpg", encoded(scene(1))),
        (mine / "train2017/000000000002.jpg", copied(scene(5))),
        (mine / "val2017/000000000001.jpg", encoded(scene(5))),
        (mine / "val2017/000000000002.jpg", encoded(scene(6))),
        (more / "train2017/000000000007.jpg", copied(scene(6))),
        (more / "train2017/000000000008.jpg", encoded(scene(8))),
    ):
        put(file, data)
    return folder


def test_audit_and_prepare_agree_on_near_duplicates_of_custom_data(custom: Path, tmp_path: Path) -> None:
    sources = (f"mine=coco:{custom}/mine", f"more=coco:{custom}/more")
    manifest = prepare_plainly(tmp_path / "whole", *sources)
    assert [(image.source, image.id, image.by) for image in manifest.held_out] == [("more", 7, "content")]
    found = audit(f"{tmp_path}/whole", sources[0])
    val = f"{custom}/mine/val2017"
    assert (found.training, found.leaks) == (3, ())
    assert sorted(found.near_duplicates) == [
        Finding("mine-000000000002", "content", f"{val}/000000000001.jpg"),
        Finding("mine-000000000002", "flickr_id", f"{val}/000000000001.jpg"),
    ]


def test_a_leak_between_custom_sources_is_found_beside_near_duplicates_within_one(
    custom: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Prepared without the validation images, `more` brings one of them into training."""
    train, val = (
        f"{custom}/mine/annotations/instances_{split}2017.json,{custom}/mine/{split}2017" for split in ("train", "val")
    )
    prepare_plainly(tmp_path / "leaky", f"mine=coco:{train}", f"more=coco:{custom}/more")
    found = audit(f"{tmp_path}/leaky", f"mine@val=coco:{val}")
    assert [finding.key for finding in found.leaks] == ["more-000000000007"]
    assert {finding.key for finding in found.near_duplicates} == {"mine-000000000002"}
    code, _, sentence = typed(capsys, "audit", f"{tmp_path}/leaky", "--against", f"{custom}/mine/val2017")
    assert code == 1
    assert "2 of its training images" in sentence and "--against NAME@val=" in sentence  # a folder names no source


def test_a_limit_compares_so_many(world: Path) -> None:
    assert audit(f"{world}/sound", f"{world}/coco/val2017", limit=2).training == 2


def test_a_held_out_image_that_does_not_decode_ends_in_one_sentence(world: Path, tmp_path: Path) -> None:
    (tmp_path / "sky.jpg").write_bytes(encoded(gradient(90, 200, 0)))
    put(tmp_path / "sky.jpg", (tmp_path / "sky.jpg").read_bytes()[:-200])
    with pytest.raises(DataError, match=r"sky\.jpg: not a readable image"):
        audit(f"{world}/sound", str(tmp_path))


def test_what_cannot_be_compared_with_is_refused_by_name(world: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    train = f"coco=coco:{world}/coco/annotations/instances_train2017.json,{world}/coco/train2017"
    for against, error, words in (
        (f"{tmp_path}/none", DataError, "no such folder"),
        (f"{tmp_path}/empty", DataError, "no images"),
        (train, ConfigError, "no file that is not for training"),
        (f"vg=vg:{world}/vg", ConfigError, "no file that is not for training"),
    ):
        with pytest.raises(error, match=words):
            audit(f"{world}/sound", against)
    with pytest.raises(ConfigError, match="--workers"):
        audit(f"{world}/sound", f"{world}/coco/val2017", workers=0)
