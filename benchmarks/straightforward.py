"""The script that one would write without this project: json.load, dictionaries, pycocotools, webdataset.

It makes the same records by the same rules, with all of the files in memory; images are excluded. With several
processes, each writes its part of the images from the same loaded files.

    python -m benchmarks.straightforward --coco runs/coco --vg runs/visual_genome --out runs/straightforward
"""

import argparse
import collections
import contextlib
import json
import math
import multiprocessing
from pathlib import Path
from typing import Any

import webdataset as wds
from pycocotools.coco import COCO

SPLITS = ("train", "val")
IMAGES_PER_SHARD = 2_000

Json = dict[str, Any]
MergedImage = tuple[str, Json | None, Json | None]


def flickr_id(url: str) -> int | None:
    number = url.rpartition("/")[2].partition("_")[0]
    return int(number) if number.isdecimal() else None


def same_shape(one: Json, other: Json) -> bool:
    first, second = one["width"] * other["height"], other["width"] * one["height"]
    return bool(abs(first - second) <= 0.01 * max(first, second))


def load_coco(folder: str) -> dict[str, COCO]:
    files = {}
    for split in SPLITS:
        with contextlib.redirect_stdout(None):
            files[split] = COCO(f"{folder}/annotations/instances_{split}2017.json")
    return files


def load_visual_genome(folder: str) -> tuple[list[Json], dict[int, list[Json]]]:
    images = json.loads(Path(f"{folder}/image_data.json").read_text())
    with Path(f"{folder}/objects.json").open() as file:
        objects = {record["image_id"]: record["objects"] for record in json.load(file)}
    return sorted(images, key=lambda image: image["image_id"]), objects


def merge(coco: dict[str, COCO], vg_images: list[Json]) -> list[MergedImage]:
    """Images as (split, COCO image or None, Visual Genome image or None)."""
    by_id = {image["id"]: (split, image) for split in SPLITS for image in coco[split].dataset["images"]}
    by_flickr = collections.defaultdict(list)
    for split, image in by_id.values():
        by_flickr[flickr_id(image["flickr_url"])].append((split, image))
    joined: dict[int, Json] = {}
    alone = []
    for image in vg_images:
        matches = [by_id[image["coco_id"]]] if image["coco_id"] in by_id else []
        if image["flickr_id"] is not None:
            matches += [match for match in by_flickr[image["flickr_id"]] if match not in matches]
        if not matches:
            alone.append(image)
            continue
        split, first = matches[0]
        if split == "train" and any(other != "train" for other, _ in matches):
            continue
        if not same_shape(image, first):
            if split == "train":
                alone.append(image)
            continue
        joined.setdefault(first["id"], image)
    merged_images = [(split, image, joined.get(number)) for number, (split, image) in by_id.items()]
    return merged_images + [("train", None, image) for image in alone]


def coco_objects(coco: COCO, image: Json, names: dict[int, str]) -> list[Json]:
    objects = []
    for annotation in coco.imgToAnns[image["id"]]:
        if min(annotation["bbox"][2:]) <= 0 or annotation["area"] <= 0:
            continue
        found = {
            "id": annotation["id"],
            "category": names[annotation["category_id"]],
            "bbox": annotation["bbox"],
            "area": annotation["area"],
        }
        if annotation["iscrowd"]:
            found["iscrowd"] = 1
        rle = coco.annToRLE(annotation)
        found["mask"] = {"size": rle["size"], "counts": rle["counts"].decode()}
        objects.append(found)
    return objects


def vg_objects(listed: list[Json], image: Json, canonical: Json) -> list[Json]:
    width, height = canonical["width"], canonical["height"]
    scale_x, scale_y = width / image["width"], height / image["height"]
    objects = []
    for found in listed:
        synsets = [synset for synset in found["synsets"] if synset]
        if len(synsets) != 1 or min(found["w"], found["h"]) <= 0:
            continue
        left, right = hundredth(found["x"] * scale_x), hundredth((found["x"] + found["w"]) * scale_x)
        top, bottom = hundredth(found["y"] * scale_y), hundredth((found["y"] + found["h"]) * scale_y)
        left, top, right, bottom = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
        if right <= left or bottom <= top:
            continue
        w, h = hundredth(right - left), hundredth(bottom - top)
        box = [left, top, w, h]
        objects.append({"id": found["object_id"], "category": synsets[0], "bbox": box, "area": hundredth(w * h)})
    return objects


def hundredth(number: float) -> float:
    return math.floor(number * 100 + 0.5) / 100


def compose(
    merged_image: MergedImage, coco: dict[str, COCO], names: dict[int, str], objects: dict[int, list[Json]]
) -> Json:
    split, coco_image, vg_image = merged_image
    canonical = coco_image or vg_image or {}
    record: Json = {"width": canonical["width"], "height": canonical["height"], "ids": {}, "objects": {}}
    if coco_image:
        record["key"] = f"coco-{coco_image['id']:012d}"
        record["ids"]["coco"] = coco_image["id"]
        record["objects"]["coco"] = coco_objects(coco[split], coco_image, names)
    if vg_image:
        record.setdefault("key", f"vg-{vg_image['image_id']:010d}")
        record["ids"]["vg"] = vg_image["image_id"]
        record["objects"]["vg"] = vg_objects(objects.get(vg_image["image_id"], []), vg_image, canonical)
    return record


def write(
    number: int,
    processes: int,
    out: str,
    merged_images: list[MergedImage],
    coco: dict[str, COCO],
    objects: dict[int, list[Json]],
) -> None:
    names = {c["id"]: c["name"] for c in coco["train"].dataset["categories"]}
    pattern = f"{out}/{number:02d}-%06d.tar"
    with wds.ShardWriter(pattern, maxcount=IMAGES_PER_SHARD, verbose=0) as writer:
        for merged_image in merged_images[number::processes]:
            record = compose(merged_image, coco, names, objects)
            writer.write({"__key__": record["key"], "json": record})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--coco", required=True)
    parser.add_argument("--vg", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--processes", type=int, default=1)
    options = parser.parse_args()
    Path(options.out).mkdir(parents=True, exist_ok=True)
    coco = load_coco(options.coco)
    vg_images, objects = load_visual_genome(options.vg)
    merged_images = merge(coco, vg_images)
    shared = (options.processes, options.out, merged_images, coco, objects)
    if options.processes == 1:
        write(0, *shared)
        return
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=write, args=(number, *shared)) for number in range(options.processes)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    if any(writer.exitcode for writer in writers):
        raise SystemExit("a writer failed")


if __name__ == "__main__":
    main()
