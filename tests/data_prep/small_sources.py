"""The smallest source folders that show a behaviour, and prepare without Beam."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from data_prep.format.exif_rule import ExifRule
from data_prep.format.manifest import Manifest
from data_prep.format.records import Record
from data_prep.plan.plan import MappedFiles, read_plan, read_table, write_plan
from data_prep.plan.planning import make_plan
from data_prep.prepare.publish import publish
from data_prep.prepare.rejects_limit import check_nothing_lost
from data_prep.prepare.vocabulary import read_synset_table
from data_prep.shards.build_record import ShardContent, build_record
from data_prep.shards.held_out_copies import HeldOutGalleries
from data_prep.shards.locate import REFERENCE, References, locate, pack
from data_prep.shards.read_annotations import ObjectReader, by_image
from data_prep.shards.write import write_shard
from data_prep.sources.counts import Counts
from data_prep.sources.options import parse_sources

SIZE = (40, 30)  # width, height
CATEGORIES = [{"id": 1, "name": "cat"}, {"id": 3, "name": "potted plant"}]


def jpeg(seed: int = 0, size: tuple[int, int] = SIZE, kind: str = "JPEG") -> bytes:
    """An image's file, another for every seed."""
    colour = np.random.default_rng(seed).integers(0, 255, 3)
    buffer = io.BytesIO()
    Image.fromarray(np.full((size[1], size[0], 3), colour, np.uint8)).save(buffer, kind)
    return buffer.getvalue()


def coco_image(number: int, **fields: Any) -> dict[str, Any]:
    """A COCO image record."""
    return {"id": number, "width": SIZE[0], "height": SIZE[1], "file_name": f"{number:012d}.jpg", **fields}


def coco_object(number: int, image: int, **fields: Any) -> dict[str, Any]:
    """A COCO annotation with a mask: a rectangle of 10 by 5 pixels."""
    polygon = [2.0, 3.0, 12.0, 3.0, 12.0, 8.0, 2.0, 8.0]
    standard = {"bbox": [2.0, 3.0, 10.0, 5.0], "area": 50.0, "iscrowd": 0, "segmentation": [polygon]}
    return {"id": number, "image_id": image, "category_id": 1, **standard, **fields}


def write_coco(
    folder: Path, images: list[Any], annotations: list[Any], split: str = "train", categories: list[Any] = CATEGORIES
) -> None:
    """A COCO-format annotation file and its images in COCO's own layout; images without a size get none."""
    (folder / "annotations").mkdir(parents=True, exist_ok=True)
    (folder / f"{split}2017").mkdir(exist_ok=True)
    document = {"images": images, "annotations": annotations, "categories": categories}
    (folder / f"annotations/instances_{split}2017.json").write_text(json.dumps(document))
    for image in images:
        if isinstance(image, dict) and {"file_name", "id", "width", "height"} <= image.keys():
            size = (image["width"], image["height"])
            (folder / f"{split}2017" / image["file_name"]).write_bytes(jpeg(image["id"], size))


def lvis_image(number: int, folder: str = "train2017", **fields: Any) -> dict[str, Any]:
    """An LVIS image record: no file name, but the URL of COCO's file."""
    url = f"http://images.cocodataset.org/{folder}/{number:012d}.jpg"
    lists: dict[str, Any] = {"neg_category_ids": [], "not_exhaustive_category_ids": []}
    return {"id": number, "width": SIZE[0], "height": SIZE[1], "coco_url": url, **lists, **fields}


def lvis_object(number: int, image: int, **fields: Any) -> dict[str, Any]:
    """An LVIS annotation: COCO's without `iscrowd`."""
    found = coco_object(number, image, **fields)
    del found["iscrowd"]
    return found


LVIS_CATEGORIES = [
    {"id": 1, "name": "acorn", "synset": "acorn.n.01", "frequency": "r", "synonyms": ["acorn"]},
    {"id": 2, "name": "bat_(animal)", "synset": "bat.n.01", "frequency": "c"},
    {"id": 3, "name": "cat", "synset": "cat.n.01", "frequency": "f"},
    {"id": 4, "name": "potted plant", "synset": "plant.n.02", "frequency": "f"},
]


def write_lvis(folder: Path, images: list[Any], annotations: list[Any], split: str = "train") -> None:
    """LVIS's file of a split, and COCO's images in COCO's folders beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    document = {"info": {}, "licenses": [], "images": images, "annotations": annotations, "categories": LVIS_CATEGORIES}
    (folder / f"lvis_v1_{split}.json").write_text(json.dumps(document))
    for image in images:
        path = folder / "/".join(image["coco_url"].split("/")[-2:])
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(jpeg(image["id"], (image["width"], image["height"])))


def vg_image(number: int, **fields: Any) -> dict[str, Any]:
    """A record of `image_data.json`."""
    known = {"width": SIZE[0], "height": SIZE[1], "coco_id": None, "flickr_id": None}
    return {"image_id": number, "url": f"https://example.org/{number}.jpg", **known, **fields}


def vg_object(number: int, synsets: list[str] | None = None, **fields: Any) -> dict[str, Any]:
    """An object of `objects.json`."""
    named = ["tree.n.01"] if synsets is None else synsets
    box = {"x": 4, "y": 6, "w": 10, "h": 5}
    return {"object_id": number, "synsets": named, "names": ["tree"], "merged_object_ids": [], **box, **fields}


def write_vg(folder: Path, images: list[Any], objects: dict[int, list[Any]]) -> None:
    """Visual Genome's folder: odd images in `VG_100K/`, even ones in `VG_100K_2/`; `objects` by image id."""
    for name in ("VG_100K", "VG_100K_2"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "image_data.json").write_text(json.dumps(images))
    records = [{"image_id": image, "objects": listed, "image_url": ""} for image, listed in objects.items()]
    (folder / "objects.json").write_text(json.dumps(records))
    for image in images:
        name = "VG_100K" if image["image_id"] % 2 else "VG_100K_2"
        size = (image["width"], image["height"])
        (folder / name / f"{image['image_id']}.jpg").write_bytes(jpeg(image["image_id"], size))


def prepare_plainly(
    out: Path,
    *sources: str,
    classes: int | None = None,
    max_rejected: float = 1.0,
    shard_bytes: int = 1 << 20,
    exif: ExifRule = "auto",
    limit: int | None = None,
) -> Manifest:
    """What `prepare` does, in plain loops: fast, and the proof that Beam adds nothing to the result."""
    planned, contents = make_plan(str(out), parse_sources(sources), shard_bytes, limit, exif)
    write_plan(planned.plan, contents)
    plan = read_plan(str(out))
    files = MappedFiles(plan)
    scanned = Counts()
    references: dict[int, list[bytes]] = {number: [] for number in range(len(plan.shards))}
    for byte_range in plan.byte_ranges:
        groups, counted = locate(
            byte_range, plan.files[byte_range.file], files[byte_range.file], read_table(str(out), byte_range.file)
        )
        scanned.add(counted)
        for shard, group in groups:
            references[shard].append(pack(group))
    for shard in sorted(references, key=lambda number: plan.shards[number].split == "train"):
        write_shard(plan, shard, reversed(references[shard]), files, HeldOutGalleries(plan))
    return publish(planned, scanned, read_synset_table(None), {}, classes, max_rejected)


def build_records_plainly(*sources: str) -> tuple[Counts, list[Record]]:
    """The way from annotation files to records alone, without images' pixels, shards and Beam.

    Raises RuntimeError if an object is lost on it.
    """
    planned, contents = make_plan("unwritten", parse_sources(sources), 1 << 20, None)
    plan, buffers = planned.plan, MappedFiles(planned.plan)
    total, content = Counts(), ShardContent()
    total.add(planned.counts)
    references: list[list[References]] = [[np.zeros(0, REFERENCE)] for _ in plan.shards]
    for byte_range in plan.byte_ranges:
        groups, counted = locate(
            byte_range, plan.files[byte_range.file], buffers[byte_range.file], contents.tables[byte_range.file]
        )
        total.add(counted)
        for shard, group in groups:
            references[shard].append(group)
    records = [
        build_record(one.merged, ObjectReader(plan, buffers).read(one.merged, own), total, content)
        for images, groups in zip(contents.images, references, strict=True)
        for one, own in zip(images, by_image(np.concatenate(groups), len(images)), strict=True)
    ]
    check_nothing_lost(total)
    return total, records
