"""Images with an EXIF orientation are read as their annotations mean them, and it is told."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from data_prep.format.exif_rule import ExifRule
from data_prep.format.reader import Dataset
from data_prep.format.rle import decode_mask
from tests.data_prep.pictures import scene
from tests.data_prep.small_sources import coco_image, coco_object, prepare_plainly, write_coco

STORED, UPRIGHT = (40, 30), (30, 40)  # width, height
QUARTER = 6
# Of the upright image: the object is its red rectangle.
BOX = (4.0, 6.0, 10.0, 20.0)
POLYGON = [4.0, 6.0, 14.0, 6.0, 14.0, 26.0, 4.0, 26.0]


def photo(orientation: int = QUARTER, kind: str = "JPEG", size: tuple[int, int] = UPRIGHT) -> bytes:
    """An image that shows a red rectangle at BOX when it is upright, stored as a camera that was turned stores it."""
    upright = np.full((size[1], size[0], 3), 90, np.uint8)
    upright[6:26, 4:14] = (250, 0, 0)
    back = {5: 5, 6: 8, 7: 7, 8: 6}.get(orientation, orientation)
    marked = Image.fromarray(upright)
    exif = Image.Exif()
    exif[0x0112] = back
    file = io.BytesIO()
    marked.save(file, "PNG", exif=exif)
    stored = ImageOps.exif_transpose(Image.open(file))
    exif[0x0112] = orientation
    file = io.BytesIO()
    stored.save(file, kind, exif=exif, **({"quality": 100, "subsampling": 0} if kind == "JPEG" else {}))
    return file.getvalue()


def prepared(folder: Path, data: bytes, listed: tuple[int, int], exif: ExifRule = "auto", **fields: Any) -> Dataset:
    """The dataset of one image, beside a plain one."""
    annotated = coco_object(5, 1, **{"bbox": BOX, "area": 200.0, "segmentation": [POLYGON], **fields})
    write_coco(folder / "mine", [coco_image(1, width=listed[0], height=listed[1]), coco_image(2)], [annotated])
    (folder / "mine/train2017/000000000001.jpg").write_bytes(data)
    prepare_plainly(folder / "ds", f"mine=coco:{folder}/mine", exif=exif)
    return Dataset.open(f"{folder}/ds")


def the_image(dataset: Dataset) -> Any:
    row = next(row for row in dataset.rows if row.ids["mine"] == 1)
    pixels, record = dataset.read_both(row)
    assert pixels.shape[1::-1] == (record.width, record.height) == (row.width, row.height)
    assert np.array_equal(dataset.pixels(row), pixels)
    return pixels, record


def is_on_the_object(pixels: Any, record: Any) -> bool:
    """Whether box and mask lie on the red rectangle."""
    (found,) = record.objects["mine"]
    x, y, w, h = map(int, found.bbox)
    inside = np.zeros(pixels.shape[:2], bool)
    inside[y : y + h, x : x + w] = True
    red = (pixels[:, :, 0] > 200) & (pixels[:, :, 1] < 60)
    return bool((decode_mask(found.mask).astype(bool) == inside).all() and (red == inside).all())


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_an_image_listed_as_it_is_shown_is_read_upright(tmp_path: Path, orientation: int, kind: str) -> None:
    data = photo(orientation, kind)
    dataset = prepared(tmp_path, data, UPRIGHT)
    pixels, record = the_image(dataset)
    assert record.upright
    assert kind == "WEBP" or is_on_the_object(pixels, record)
    assert dataset.manifest.repaired["mine"] == {"exif_upright": 1}
    assert dataset.manifest.noted.get("mine", {}).get("exif_orientation") is None
    assert dataset.read_image(next(row for row in dataset.rows if row.ids["mine"] == 1)) == data


def test_an_image_listed_as_it_is_stored_is_used_so_and_noted(tmp_path: Path) -> None:
    dataset = prepared(tmp_path, photo(), STORED, bbox=[1, 1, 8, 8], segmentation=[])
    _, record = the_image(dataset)
    assert not record.upright
    assert (record.width, record.height) == STORED
    assert dataset.manifest.noted["mine"]["exif_orientation"] == 1
    assert "exif_upright" not in dataset.manifest.repaired.get("mine", {})


@pytest.mark.parametrize("orientation", range(2, 9))
def test_apply_reads_all_upright_whichever_size_is_listed(tmp_path: Path, orientation: int) -> None:
    for listed in (STORED, UPRIGHT):
        if orientation < 5 and listed == STORED:
            continue
        dataset = prepared(tmp_path / "x".join(map(str, listed)), photo(orientation), listed, "apply")
        pixels, record = the_image(dataset)
        assert record.upright
        assert is_on_the_object(pixels, record)
        assert dataset.manifest.repaired["mine"] == {"exif_upright": 1}


def test_ignore_takes_the_stored_image_without_a_word(tmp_path: Path) -> None:
    dataset = prepared(tmp_path, photo(), STORED, "ignore", bbox=[1, 1, 8, 8], segmentation=[])
    _, record = the_image(dataset)
    assert not record.upright
    assert dataset.manifest.repaired == {}
    assert "exif_orientation" not in dataset.manifest.noted.get("mine", {})


def test_a_square_image_is_noted_as_nothing_tells(tmp_path: Path) -> None:
    dataset = prepared(tmp_path, photo(3, size=(40, 40)), (40, 40))
    assert not the_image(dataset)[1].upright
    assert dataset.manifest.noted["mine"]["exif_orientation"] == 1


def test_records_of_other_images_say_nothing_of_it(tmp_path: Path) -> None:
    dataset = prepared(tmp_path, photo(1), UPRIGHT)
    assert is_on_the_object(*the_image(dataset))
    for row in dataset.rows:
        data = (tmp_path / "ds" / row.shard).read_bytes()[row.record_offset : row.record_offset + row.record_length]
        assert b"upright" not in data


def test_an_upright_copy_of_a_held_out_image_is_found_as_it_is_shown(tmp_path: Path) -> None:
    picture = Image.fromarray(scene(1))
    picture.save(tmp_path / "plain.jpg", quality=90)
    exif = Image.Exif()
    exif[0x0112] = 8
    picture.transpose(Image.Transpose.ROTATE_270).save(tmp_path / "turned.jpg", quality=90, exif=exif)
    for name, split, file in (("one", "val", "plain.jpg"), ("two", "train", "turned.jpg")):
        listed = [coco_image(1, width=320, height=240)]
        write_coco(tmp_path / name, listed, [coco_object(5, 1)], split)
        (tmp_path / name / f"{split}2017/000000000001.jpg").write_bytes((tmp_path / file).read_bytes())
    write_coco(tmp_path / "two", [coco_image(1, width=320, height=240), coco_image(2)], [coco_object(5, 1)])
    (tmp_path / "two/train2017/000000000001.jpg").write_bytes((tmp_path / "turned.jpg").read_bytes())
    manifest = prepare_plainly(tmp_path / "ds", f"one=coco:{tmp_path}/one", f"two=coco:{tmp_path}/two")
    assert [(each.source, each.by) for each in manifest.held_out] == [("two", "content")]


def test_pixels_of_more_than_8_bits_are_noted_with_their_range(tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.fromarray(np.linspace(0, 4095, 1200).astype(np.uint16).reshape(30, 40)).save(file, "PNG")
    dataset = prepared(tmp_path, file.getvalue(), STORED, bbox=[1, 1, 8, 8], segmentation=[])
    assert dataset.manifest.noted["mine"]["more_than_8_bits"] == 1
    assert the_image(dataset)[0].max() == 4095 >> 8
