"""Exports as programs write them: annotation files, the images that they list, and what an option finds of them."""

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

from data_prep.sources.options import CocoFiles, parse_sources
from tests.data_prep.small_sources import jpeg

Tree = dict[str, list[str]]


def document(names: list[str]) -> dict[str, Any]:
    """A COCO file that lists images of these names, each with a box."""
    return {
        "images": [{"id": n, "width": 40, "height": 30, "file_name": name} for n, name in enumerate(names, 1)],
        "annotations": [
            {"id": n, "image_id": n, "category_id": 1, "bbox": [2, 3, 10, 5], "area": 50}
            for n in range(1, len(names) + 1)
        ],
        "categories": [{"id": 1, "name": "cat"}],
    }


def write_tree(root: Path, annotations: Tree, images: list[str]) -> None:
    """Annotation files that list these names, and images at these paths, all below `root`."""
    for path, names in annotations.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(json.dumps(document(names)))
    for number, path in enumerate(images):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(jpeg(number))


def found(option: str, root: Path) -> list[tuple[str, str, str]]:
    """Split, annotation file and image folder of each file that an option names, below `root`."""
    files = [each for each in parse_sources((option,)) if isinstance(each, CocoFiles)]
    return [(f.split, f.annotations.removeprefix(f"{root}/"), f.images.removeprefix(f"{root}/")) for f in files]


def packed(root: Path, archive: Path) -> Path:
    """A zip of all that is below `root`, which is removed."""
    with zipfile.ZipFile(archive, "w") as opened:
        for path in sorted(root.rglob("*")):
            opened.write(path, path.relative_to(root.parent))
        opened.writestr("__MACOSX/._x", "")
    shutil.rmtree(root)
    return archive


LAYOUTS: dict[str, tuple[Tree, list[str], list[tuple[str, str, str]]]] = {
    "Roboflow": (
        {f"{split}/_annotations.coco.json": [f"{split}.jpg"] for split in ("test", "train", "valid")},
        ["train/train.jpg", "valid/valid.jpg", "test/test.jpg"],
        [
            ("test", "test/_annotations.coco.json", "test"),
            ("train", "train/_annotations.coco.json", "train"),
            ("val", "valid/_annotations.coco.json", "valid"),
        ],
    ),
    "CVAT, one subset": (
        {"annotations/instances_default.json": ["a.jpg"]},
        ["images/default/a.jpg"],
        [("train", "annotations/instances_default.json", "images/default")],
    ),
    "CVAT, images/": (
        {"annotations/instances_Train.json": ["b/a.jpg"], "annotations/instances_Validation.json": ["c/a.jpg"]},
        ["images/b/a.jpg", "images/c/a.jpg"],
        [
            ("train", "annotations/instances_Train.json", "images"),
            ("val", "annotations/instances_Validation.json", "images"),
        ],
    ),
    "CVAT, images of one name in both": (
        {"annotations/instances_train.json": ["1.jpg"], "annotations/instances_val.json": ["1.jpg"]},
        ["images/train/1.jpg", "images/val/1.jpg"],
        [
            ("train", "annotations/instances_train.json", "images/train"),
            ("val", "annotations/instances_val.json", "images/val"),
        ],
    ),
    "Label Studio": ({"result.json": ["images/a.jpg"]}, ["images/a.jpg"], [("train", "result.json", ".")]),
    "Label Studio, \\": (
        {"result.json": ["images\\a b.jpg"]},
        ["images/a b.jpg"],
        [("train", "result.json", "images")],
    ),
    "FiftyOne": ({"labels.json": ["a.jpg"]}, ["data/a.jpg"], [("train", "labels.json", "data")]),
    "FiftyOne, splits": (
        {"train/labels.json": ["a.jpg"], "validation/labels.json": ["a.jpg"]},
        ["train/data/a.jpg", "validation/data/a.jpg"],
        [("train", "train/labels.json", "train/data"), ("val", "validation/labels.json", "validation/data")],
    ),
    "YOLO-style": (
        {"annotations/instances_train2017.json": ["a.jpg"], "annotations/instances_val2017.json": ["a.jpg"]},
        ["images/train2017/a.jpg", "images/val2017/a.jpg"],
        [
            ("train", "annotations/instances_train2017.json", "images/train2017"),
            ("val", "annotations/instances_val2017.json", "images/val2017"),
        ],
    ),
    "MMDetection": (
        {"annotations/my_train.json": ["a.jpg"], "annotations/my_val.json": ["a.jpg"]},
        ["train/a.jpg", "val/a.jpg"],
        [("train", "annotations/my_train.json", "train"), ("val", "annotations/my_val.json", "val")],
    ),
    "a file in each split's folder": (
        {"train/annotation_coco.json": ["a.jpg"], "val/annotation_coco.json": ["b.jpg"]},
        ["train/a.jpg", "val/b.jpg"],
        [("train", "train/annotation_coco.json", "train"), ("val", "val/annotation_coco.json", "val")],
    ),
    "a split without an image": (
        {"annotations/instances_Train.json": ["a.jpg"], "annotations/instances_Test.json": []},
        ["images/Train/a.jpg"],
        [("train", "annotations/instances_Train.json", "images/Train")],
    ),
    "several tasks of CVAT": (
        {f"task_{n}/annotations/instances_default.json": ["a.jpg"] for n in (1, 2)},
        ["task_1/images/default/a.jpg", "task_2/images/default/a.jpg"],
        [("train", f"task_{n}/annotations/instances_default.json", f"task_{n}/images/default") for n in (1, 2)],
    ),
    "a task of CVAT for each split": (
        {
            "train/annotations/instances_default.json": ["a.jpg"],
            "train/annotations/instances_more.json": ["b.jpg"],
            "valid/annotations/instances_default.json": ["a.jpg"],
            "test_2/annotations/instances_Train.json": ["a.jpg"],
        },
        ["train/images/a.jpg", "train/images/b.jpg", "valid/images/a.jpg", "test_2/images/a.jpg"],
        [
            ("train", "test_2/annotations/instances_Train.json", "test_2/images"),
            ("train", "train/annotations/instances_default.json", "train/images"),
            ("train", "train/annotations/instances_more.json", "train/images"),
            ("val", "valid/annotations/instances_default.json", "valid/images"),
        ],
    ),
    "one folder deeper": (
        {"export/result.json": ["a.jpg"]},
        ["export/images/a.jpg"],
        [("train", "export/result.json", "export/images")],
    ),
    "a file by itself": ({"boxes.json": ["a.jpg"]}, ["photos/a.jpg"], [("train", "boxes.json", ".")]),
}
