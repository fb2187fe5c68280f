"""Copies of every held-out image stay out of training: of those that are turned, rejected, or beyond the limit too."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from data_prep.format.exif_rule import ExifRule
from data_prep.format.manifest import HeldOut
from data_prep.format.reader import Dataset
from data_prep.inspect.audit import audit
from data_prep.inspect.verify import find_problems
from data_prep.plan.sharding import order
from data_prep.prepare.options import PrepareOptions
from data_prep.prepare.prepare import prepare
from data_prep.storage.errors import DataError
from tests.data_prep.leaky_world import FULL, put, sources, write_genome
from tests.data_prep.pictures import copied, encoded, scene
from tests.data_prep.small_sources import coco_image, coco_object, prepare_plainly, vg_image, write_coco

TALL = {"width": 240, "height": 320}


def training(world: Path) -> set[str]:
    """The keys of the training images, of which audit finds none among COCO's validation images."""
    assert audit(f"{world}/out", f"coco=coco:{world}/coco").leaks == ()
    return {row.key for row in Dataset.open(f"{world}/out").rows if row.split == "train"}


def write_val(world: Path, *images: dict[str, Any]) -> None:
    """COCO with one training image, and these for validation, an object each."""
    write_coco(world / "coco", [coco_image(1, **FULL)], [coco_object(1, 1)])
    write_coco(world / "coco", list(images), [coco_object(image["id"], image["id"]) for image in images], "val")


def quarter_turned(seed: int) -> bytes:
    """A scene of 320×240 with an EXIF orientation of 6: it is to be shown turned by a quarter."""
    buffer, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(scene(seed)).save(buffer, "JPEG", quality=90, exif=exif)
    return buffer.getvalue()


@pytest.mark.parametrize(("listed", "exif"), [(FULL, "auto"), (TALL, "auto"), (FULL, "ignore"), (TALL, "apply")])
def test_a_turned_image_is_known_as_it_is_stored_and_as_it_is_shown(
    tmp_path: Path, listed: dict[str, int], exif: ExifRule
) -> None:
    write_val(tmp_path, coco_image(2, **listed))
    put(tmp_path / "coco/val2017/000000000002.jpg", quarter_turned(2))
    files = {11: copied(np.rot90(scene(2), -1).copy()), 12: copied(scene(2)), 13: encoded(scene(13))}
    write_genome(tmp_path / "vg", [vg_image(11, **TALL), vg_image(12, **FULL), vg_image(13, **FULL)], files)
    manifest = prepare_plainly(tmp_path / "out", *sources(tmp_path), exif=exif)
    assert manifest.held_out == tuple(HeldOut("vg", n, "content", "coco-000000000002") for n in (11, 12))
    assert training(tmp_path) == {"coco-000000000001", "vg-0000000013"}


@pytest.mark.parametrize("exif", ["auto", "ignore", "apply"])
def test_a_turned_copy_is_known_by_what_it_shows_and_by_what_is_stored(tmp_path: Path, exif: ExifRule) -> None:
    """Image 11 shows a validation image when turned; image 12 stores another's pixels."""
    upright = np.rot90(scene(2), -1).copy()
    write_val(tmp_path, coco_image(2, **TALL), coco_image(3, **FULL))
    put(tmp_path / "coco/val2017/000000000002.jpg", encoded(upright))
    put(tmp_path / "coco/val2017/000000000003.jpg", encoded(scene(3)))
    files = {11: quarter_turned(2), 12: quarter_turned(3), 13: quarter_turned(13)}
    listed = TALL if exif == "apply" else FULL
    write_genome(tmp_path / "vg", [vg_image(number, **listed) for number in files], files)
    manifest = prepare_plainly(tmp_path / "out", *sources(tmp_path), exif=exif)
    assert manifest.held_out == (
        HeldOut("vg", 11, "content", "coco-000000000002"),
        HeldOut("vg", 12, "content", "coco-000000000003"),
    )
    assert training(tmp_path) == {"coco-000000000001", "vg-0000000013"}


def test_audit_knows_a_turned_copy_too(tmp_path: Path) -> None:
    write_val(tmp_path, coco_image(2, **TALL))
    put(tmp_path / "coco/val2017/000000000002.jpg", encoded(np.rot90(scene(2), -1).copy()))
    write_genome(tmp_path / "vg", [vg_image(11, **FULL)], {11: quarter_turned(2)})
    prepare_plainly(tmp_path / "out", f"vg=vg:{tmp_path}/vg")
    found = audit(f"{tmp_path}/out", f"coco=coco:{tmp_path}/coco").leaks
    assert [(each.key, each.by) for each in found] == [("vg-0000000011", "content")]


def test_a_validation_image_that_is_rejected_for_its_size_has_no_copy_in_training(tmp_path: Path) -> None:
    write_val(tmp_path, coco_image(2, **TALL), coco_image(3, **FULL))
    put(tmp_path / "coco/val2017/000000000002.jpg", encoded(scene(2)))
    write_genome(tmp_path / "vg", [vg_image(11, **FULL)], {11: copied(scene(2))})
    manifest = prepare_plainly(tmp_path / "out", *sources(tmp_path))
    assert manifest.rejected["coco"] == {"size_mismatch": 1}
    assert manifest.held_out == (HeldOut("vg", 11, "content", "coco-000000000002"),)
    assert training(tmp_path) == {"coco-000000000001"}


def test_validation_images_that_are_rejected_before_they_are_read_have_no_copy_in_training(tmp_path: Path) -> None:
    """Image 2 stands for two files, and image 4 is listed with more pixels than are read."""
    same_id = coco_image(2, **FULL, file_name="other.jpg")
    write_val(tmp_path, coco_image(2, **FULL), same_id, coco_image(4, width=1, height=1))
    listed = tmp_path / "coco/annotations/instances_val2017.json"
    listed.write_text(listed.read_text().replace('"width": 1, "height": 1', '"width": 10000, "height": 10000'))
    for number, name in ((2, "000000000002"), (3, "other"), (4, "000000000004")):
        put(tmp_path / f"coco/val2017/{name}.jpg", encoded(scene(number)))
    files = {11: encoded(scene(11)), **{10 + n: copied(scene(n)) for n in (2, 3, 4)}, 15: encoded(scene(15))}
    images = [vg_image(n, **FULL, **({"coco_id": 2} if n == 11 else {})) for n in files]
    write_genome(tmp_path / "vg", images, files)
    manifest = prepare_plainly(tmp_path / "out", *sources(tmp_path))
    assert manifest.rejected["coco"] == {"duplicate_id": 2, "too_large": 1}
    twice, large = "coco-val-000000000002", "coco-000000000004"
    assert [(each.id, each.by, each.key) for each in manifest.held_out] == [
        (11, "coco_id", twice),
        (12, "content", twice),
        (13, "content", twice),
        (14, "content", large),
    ]
    assert {row.key for row in Dataset.open(f"{tmp_path}/out").rows} == {"coco-000000000001", "vg-0000000015"}
    assert find_problems(f"{tmp_path}/out") == []
    prepare_plainly(tmp_path / "alone", f"vg=vg:{tmp_path}/vg")
    leaks = audit(f"{tmp_path}/alone", f"coco=coco:{tmp_path}/coco").leaks
    assert {(each.key, each.by) for each in leaks} >= {(f"vg-00000000{n}", "content") for n in (12, 13, 14)}


@pytest.fixture
def four(tmp_path: Path) -> Path:
    """Four validation images; in Visual Genome five copies of the last in the shards' order, and another image."""
    write_val(tmp_path, *(coco_image(number, **FULL) for number in range(2, 6)))
    for number in range(2, 6):
        put(tmp_path / f"coco/val2017/{number:012d}.jpg", encoded(scene(number)))
    last = max(range(2, 6), key=lambda number: order(f"coco-{number:012d}"))
    files = {**{number: copied(scene(last)) for number in range(11, 16)}, 16: encoded(scene(16))}
    write_genome(tmp_path / "vg", [vg_image(number, **FULL) for number in files], files)
    return tmp_path


@pytest.mark.parametrize("limit", [2, 3])
def test_a_limit_lets_no_copy_of_a_validation_image_beyond_it_into_training(four: Path, limit: int) -> None:
    manifest = prepare_plainly(four / "out", *sources(four), limit=limit)
    assert training(four) <= {"coco-000000000001", "vg-0000000016"}
    assert manifest.counts["val"]["coco"]["photographs"] == limit
    assert len([shard for shard in manifest.shards if shard.split == "val"]) == 1
    assert manifest.left_out["coco"]["beyond_limit"] >= 4 - limit
    assert find_problems(f"{four}/out") == []


def test_a_held_out_image_beyond_the_limit_that_cannot_be_read_is_told(four: Path) -> None:
    whole = prepare_plainly(four / "out", *sources(four), limit=3)
    kept = {row.ids["coco"] for row in Dataset.open(f"{four}/out").rows if row.split == "val"}
    (beyond,) = {2, 3, 4, 5} - kept
    put(four / f"coco/val2017/{beyond:012d}.jpg", b"")
    manifest = prepare_plainly(four / "again", *sources(four), limit=3)
    assert whole.rejected == {}
    assert manifest.rejected == {"coco": {"format_not_read": 1}}


def test_what_was_only_compared_is_written_where_the_limit_is_left_out(
    four: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = PrepareOptions(sources=sources(four), out=f"{four}/out", limit=3)
    with monkeypatch.context() as patch, pytest.raises(DataError):
        patch.setattr("data_prep.prepare.prepare.publish", _interrupted)
        prepare(options)
    manifest = prepare(replace(options, limit=None))
    assert manifest.shards == prepare(replace(options, limit=None, out=f"{four}/whole")).shards
    assert training(four) == {"coco-000000000001", "vg-0000000016"}


def _interrupted(*_: object) -> None:
    raise DataError("interrupted")


def test_a_crop_with_the_flickr_id_of_a_validation_image_is_kept_out(tmp_path: Path) -> None:
    url = "https://live.staticflickr.com/1/77_abc_z.jpg"
    write_val(tmp_path, coco_image(2, flickr_url=url, **FULL))
    put(tmp_path / "coco/val2017/000000000002.jpg", encoded(scene(2)))
    crop = {"width": 256, "height": 192}
    write_coco(tmp_path / "mine", [coco_image(7, flickr_url=url, **crop), coco_image(8, **crop)], [coco_object(1, 7)])
    put(tmp_path / "mine/train2017/000000000007.jpg", encoded(scene(2)[:192, :256]))
    manifest = prepare_plainly(tmp_path / "out", f"coco=coco:{tmp_path}/coco", f"mine=coco:{tmp_path}/mine")
    assert manifest.held_out == (HeldOut("mine", 7, "flickr_id", "coco-000000000002"),)
    assert manifest.left_out == {"mine": {"photograph_left_out": 1, "val_in_train": 1}}
    assert training(tmp_path) == {"coco-000000000001", "mine-000000000008"}


def test_a_flickr_id_that_a_file_gives_all_its_images_keeps_none_out_of_training(tmp_path: Path) -> None:
    """Records copied from a validation image of COCO's: what they hold beside names and sizes is not theirs."""
    flickr = "http://farm9.staticflickr.com/8/77_abc_z.jpg"
    write_val(tmp_path, coco_image(2, **FULL, flickr_url=flickr))
    for split, numbers in (("train", range(5, 10)), ("val", range(10, 15))):
        images = [coco_image(number, **FULL, flickr_url=flickr) for number in numbers]
        write_coco(tmp_path / "mine", images, [coco_object(number, number) for number in numbers], split)
    sources = (f"mine=coco:{tmp_path}/mine", f"coco=coco:{tmp_path}/coco")
    manifest = prepare_plainly(tmp_path / "out", *sources)
    assert manifest.held_out == ()
    assert manifest.noted["mine"]["flickr_id_copied"] == 10
    assert training(tmp_path) == {"coco-000000000001", *(f"mine-{number:012d}" for number in range(5, 10))}


@pytest.mark.parametrize(("crops", "others", "stay"), [(4, 0, False), (16, 1, False), (17, 1, True)])
def test_crops_of_one_held_out_photo_are_known_by_its_flickr_id(
    tmp_path: Path, crops: int, others: int, stay: bool
) -> None:
    """A few, or some among others: of more the id is a copied record's."""
    flickr = "http://farm9.staticflickr.com/8/77_abc_z.jpg"
    write_val(tmp_path, coco_image(2, **FULL, flickr_url=flickr))
    images = [coco_image(number, flickr_url=flickr) for number in range(100, 100 + crops)]
    images += [coco_image(number) for number in range(200, 200 + others)]
    write_coco(tmp_path / "mine", images, [coco_object(image["id"], image["id"]) for image in images])
    manifest = prepare_plainly(tmp_path / "out", f"mine=coco:{tmp_path}/mine", f"coco=coco:{tmp_path}/coco")
    assert [each.by for each in manifest.held_out].count("flickr_id") == (0 if stay else crops)
