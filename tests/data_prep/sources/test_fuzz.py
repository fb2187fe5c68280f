"""Nineteen thousand damaged files: each ends in records with nothing lost, or in one error that names the file."""

import io
import json
import random
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from data_prep.format.image_kinds import describe, extension
from data_prep.format.images import decode_rgb
from data_prep.format.records import Record, decode_record, encode_record
from data_prep.sources.counts import Counts
from data_prep.sources.reasons import EXCLUDED, EXCLUDED_IMAGES, LOST_MASKS, NOTED, REJECTED, REPAIRED
from data_prep.storage.errors import DataError
from tests.data_prep.damage import damage_bytes, damage_json
from tests.data_prep.small_sources import (
    build_records_plainly,
    coco_image,
    coco_object,
    lvis_image,
    lvis_object,
    vg_image,
    vg_object,
    write_coco,
    write_lvis,
    write_vg,
)

JSON_FILES = (range(500), pytest.param(range(500, 2000), marks=pytest.mark.slow))  # of each of the six kinds
PICTURES = 600  # of each of the seventeen kinds

RLE = {"size": [30, 40], "counts": [600, 30, 570]}
COMPRESSED = {"size": [30, 40], "counts": "hb0n0ja0"}


def write_world(folder: Path) -> None:
    """COCO, LVIS, and Visual Genome in its last release and its first, of the same few images."""
    objects = [coco_object(5, 1), coco_object(6, 2, iscrowd=1, segmentation=RLE), coco_object(7, 2, segmentation=None)]
    images = [coco_image(1, license=1, flickr_url="http://x/77_a.jpg"), coco_image(2), coco_image(3)]
    write_coco(folder / "coco", images, objects)
    lists: dict[str, Any] = {"neg_category_ids": [1, 2], "not_exhaustive_category_ids": [3]}
    found = [lvis_object(8, 1), lvis_object(9, 4, category_id=2, segmentation=COMPRESSED), lvis_object(10, 4)]
    write_lvis(folder / "lvis", [lvis_image(1, **lists), lvis_image(4)], found)
    genome = {
        9: [vg_object(1), vg_object(2, []), vg_object(3, ["a.n.01", "b.n.01"]), vg_object(4, w=0)],
        10: [vg_object(5, x=-3), vg_object(6, ["dog.n.01"])],
        11: [],
    }
    known = [vg_image(9, coco_id=1, flickr_id=77), vg_image(10), vg_image(11)]
    write_vg(folder / "vg", known, genome)
    shutil.copytree(folder / "vg", folder / "old")
    old = [{**image, "id": image["image_id"]} for image in known]
    box = {"x": 1, "y": 2, "w": 9, "h": 9}
    named = [{"id": 1, "names": ["tree", "oak"], **box}, {"id": 2, "name": "dog", **box}]
    for record in old:
        del record["image_id"]
    (folder / "old/image_data.json").write_text(json.dumps(old))
    (folder / "old/objects.json").write_text(json.dumps([{"id": 9, "objects": named}, {"id": 10, "objects": []}]))
    (folder / "old/object_synsets.json").write_text('{"tree": "tree.n.01", "oak": "tree.n.01", "dog": "dog.n.01"}')


def check(total: Counts, records: list[Record]) -> None:
    """Everything is accounted for, under known reasons, and can be written."""
    for source, images in total.images.items():
        excluded = sum(total.excluded.get(source, {}).get(reason, 0) for reason in EXCLUDED_IMAGES)
        included = sum(source in record.ids for record in records)
        listing = ("image_data.json", "lvis_v1_train.json", "annotations/instances_train2017.json")
        broken = sum(r.source == source and r.kind == "photograph" and r.file in listing for r in total.rejects)
        assert images == included + excluded + broken
    assert {reject.reason for reject in total.rejects} <= REJECTED.keys() | LOST_MASKS.keys()
    assert {reason for reasons in total.repaired.values() for reason in reasons} <= REPAIRED.keys()
    assert {reason for reasons in total.noted.values() for reason in reasons} <= NOTED.keys()
    assert {reason for reasons in total.excluded.values() for reason in reasons} <= EXCLUDED.keys()
    for reject in total.rejects:
        reject.excerpt.encode()
    for record in records:
        assert decode_record(encode_record(record)) == record
        for found in record.objects.values():
            assert all(annotation.area > 0 for annotation in found)


def listed(text: bytes, name: str) -> int | None:
    """The number of objects in a COCO-format file by another parser; None where it fails."""
    try:
        return len(json.loads(text)["annotations"]) if name != "objects.json" else None
    except (ValueError, LookupError, TypeError, RecursionError):
        return None


@pytest.mark.parametrize("seeds", JSON_FILES)
@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("coco=coco:{}/coco", "coco/annotations/instances_train2017.json"),
        ("lvis=lvis:{}/lvis", "lvis/lvis_v1_train.json"),
        ("vg=vg:{}/vg", "vg/objects.json"),
        ("vg=vg:{}/vg", "vg/image_data.json"),
        ("old=vg:{}/old", "old/objects.json"),
        ("old=vg:{}/old", "old/object_synsets.json"),
    ],
)
def test_a_damaged_annotation_file_loses_nothing_or_is_named(
    tmp_path: Path, source: str, name: str, seeds: range
) -> None:
    write_world(tmp_path)
    whole = (tmp_path / name).read_bytes()
    places = [place.format(tmp_path) for place in dict.fromkeys(("coco=coco:{}/coco", source))]
    broken_before = len(build_records_plainly(*places)[0].rejects)
    ends: Counter[str] = Counter()
    for seed in seeds:
        text = damage_json(whole, random.Random(f"{name} {seed}"))
        (tmp_path / name).write_bytes(text)
        try:
            total, records = build_records_plainly(*places)
        except DataError as error:
            assert Path(name).name in str(error), (seed, str(error))
            ends["refused"] += 1
            continue
        check(total, records)
        own = source.partition("=")[0]
        if own in ("coco", "lvis") and (objects := listed(text, name)) is not None:
            assert total.objects.get(own, 0) == objects, seed
        ends["rejected" if len(total.rejects) > broken_before else "taken"] += 1
    assert min(ends["refused"], ends["taken"]) > len(seeds) // 50, ends


def picture(mode: str, kind: str, **options: Any) -> bytes:
    """Noise, so that no byte of the file is without effect."""
    noise = np.random.default_rng(0).integers(0, 255, (30, 40, 3), np.uint8)
    file = io.BytesIO()
    image = Image.fromarray(noise).convert("L" if mode == "I;16" else mode)
    image.convert(mode).save(file, kind, **options)
    return file.getvalue()


@pytest.mark.filterwarnings("ignore::UserWarning")  # pytest drops the filter of `images.py`
@pytest.mark.parametrize(
    ("mode", "kind", "options"),
    [
        ("RGB", "JPEG", {}),
        ("RGB", "JPEG", {"progressive": True, "restart_marker_rows": 1}),
        ("L", "JPEG", {"optimize": True}),
        ("CMYK", "JPEG", {}),
        ("RGB", "PNG", {}),
        ("P", "PNG", {}),
        ("I;16", "PNG", {}),
        ("RGB", "WEBP", {"lossless": True}),
        ("RGB", "WEBP", {"quality": 80}),
        ("RGB", "BMP", {}),
        ("P", "BMP", {}),
        ("P", "GIF", {}),
        ("RGB", "TIFF", {}),
        ("F", "TIFF", {}),
        ("CMYK", "TIFF", {"compression": "tiff_lzw"}),
        ("P", "TIFF", {"compression": "tiff_adobe_deflate"}),
        ("RGB", "MPO", {}),
    ],
)
def test_a_damaged_picture_is_decoded_whole_or_named(mode: str, kind: str, options: dict[str, Any]) -> None:
    whole = picture(mode, kind, **options)
    assert decode_rgb(whole, "7.jpg").shape == (30, 40, 3)
    refused = 0
    for seed in range(PICTURES):
        data = damage_bytes(whole, random.Random(seed))
        try:
            pixels = decode_rgb(data, "7.jpg", upright=True)
        except DataError as error:
            assert str(error).startswith("7.jpg: ")
            refused += 1
        else:
            assert (pixels.ndim, pixels.shape[2]) == (3, 3)
        assert extension(data) or describe(data)
    assert refused > PICTURES // 10 or kind in ("BMP", "TIFF")  # most of their bytes are pixels, and any is one
