"""A file of another kind, in place of annotations, is told by what it is, never that it is damaged."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from data_prep.storage.errors import DataError
from tests.data_prep.small_sources import coco_image, jpeg, prepare_plainly, vg_image, vg_object, write_vg

IMAGES = [coco_image(1)]
CATEGORIES = [{"id": 1, "name": "cat"}]


def coco(annotation: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {
        "images": IMAGES,
        "annotations": [{"id": 1, "image_id": 1, **annotation}],
        "categories": CATEGORIES,
        **members,
    }


OTHERS: dict[str, tuple[bytes | Any, str]] = {
    "captions": ({**coco({"caption": "a cat"}), "categories": None}, "captions, which have no boxes"),
    "panoptic": (coco({"segments_info": [], "file_name": "1.png"}), "panoptic annotations"),
    "key points": (coco({"category_id": 1, "keypoints": [1, 2, 2]}), "key points without boxes"),
    "image_info": ({"images": IMAGES, "categories": CATEGORIES}, "COCO's list of images alone"),
    "results": ([{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}], "results (predictions)"),
    "bare annotations": ([{"id": 1, "image_id": 1, "category_id": 1}], "COCO's annotations alone"),
    "labelme": ({"version": "5.0", "shapes": [], "imagePath": "a.jpg"}, "labelme's file of one image"),
    "VIA project": ({"_via_settings": {}, "_via_img_metadata": {}}, "a project of VIA's own format"),
    "VIA annotations": ({"a.jpg12": {"filename": "a.jpg", "regions": []}}, "annotations in VIA's own format"),
    "Label Studio": ([{"id": 1, "data": {"image": "a.jpg"}, "annotations": []}], "Label Studio's own format"),
    "Visual Genome": ([{"image_id": 1, "objects": []}], "Visual Genome's objects.json"),
    "object of annotations": ({**coco({}), "annotations": {"0": {}}}, "(annotations), and holds an object: give its"),
    "images by name": ({**coco({"bbox": [1, 2, 3, 4]}), "images": [{"id": 1, "name": "a.jpg"}]}, "have no 'file_name'"),
    "annotations null": ({**coco({}), "annotations": None}, "(annotations), and holds null: give a list"),
    "Git LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12\n", "a Git LFS pointer"),
    "another object": ({"a": 1}, "has no 'images', but 'a'"),
    "another list": ([1, 2], "should hold an object, and holds a list"),
    "YOLO labels": (b"0 0.5 0.5 0.25 0.25\n1 0.1 0.1 0.2 0.2\n", "a YOLO label file"),
    "YOLO polygons": (b"0 0.5 0.5 0.25 0.25 0.1 0.2\n", "a YOLO label file"),
    "YOLO data.yaml": (b"# data\ntrain: images/train\nnc: 1\n", "YOLO's data.yaml"),
    "Pascal VOC": (b"<annotation><filename>a.jpg</filename></annotation>", "a Pascal VOC file"),
    "CVAT": (b'<?xml version="1.0"?>\n<annotations><version>1.1</version></annotations>', "CVAT's own XML"),
    "XML": (b'<?xml version="1.0"?><root/>', "XML"),
    "HTML": (b"<!DOCTYPE html><html><body>Sign in</body></html>", "a web page"),
    "CSV": (b"filename,width,height,class\na.jpg,40,30,cat\n", "a table (CSV)"),
    "JSON Lines": (b'{"file_name": "a.jpg"}\n{"file_name": "b.jpg"}\n', "JSON Lines"),
    "JPEG": (jpeg(1), "an image; annotations come first"),
    "PNG": (jpeg(1, kind="PNG"), "an image; annotations come first"),
    "TFRecord": (b"\x10\x02\0\0\0\0\0\0\xaa\xbb\xcc\xdd\n\x8d\x04\n\x1d\n\x0eimage/encoded", "a TFRecord file"),
    "pickle": (b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00}\x94.", "a Python pickle"),
    "parquet": (b"PAR1\x15\x04\x15\x10", "a table or database"),
    "7z": (b"7z\xbc\xaf\x27\x1c\0\4", "an archive"),
    "blanks": (b" \n\n", "the file is empty"),
    "nothing": (b"", "the file is empty"),
}  # fmt: skip


@pytest.mark.parametrize("kind", OTHERS)
def test_a_file_of_another_kind_is_told_by_what_it_is(tmp_path: Path, kind: str) -> None:
    content, words = OTHERS[kind]
    path = tmp_path / "ann.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    (tmp_path / "images").mkdir()
    with pytest.raises(DataError) as told:
        prepare_plainly(tmp_path / "out", f"mine=coco:{path},{tmp_path}/images")
    assert str(told.value).startswith(f"{path}: ")
    assert words in str(told.value)
    assert "get the file again" not in str(told.value)


def test_key_points_beside_boxes_are_passed_over(tmp_path: Path) -> None:
    box = {"category_id": 1, "bbox": [2, 3, 10, 5], "area": 50, "keypoints": [1, 2, 2], "score": math.nan}
    (tmp_path / "ann.json").write_text(json.dumps(coco(box)))
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / IMAGES[0]["file_name"]).write_bytes(jpeg(1))
    manifest = prepare_plainly(tmp_path / "out", f"mine=coco:{tmp_path}/ann.json,{tmp_path}/images")
    assert manifest.rejected == {}


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"image_id": 1, "attributes": []}, "no 'objects' but 'image_id', 'attributes': it is .* attributes.json"),
        ({"image_id": 1, "relationships": []}, "relationships.json"),
        ({"id": 1, "regions": []}, "regions.json"),
        ({"image_id": 1, "width": 1, "coco_id": None}, "image_data.json"),
    ],
)
def test_another_file_of_visual_genomes_in_place_of_its_objects_is_told(
    tmp_path: Path, record: dict[str, Any], words: str
) -> None:
    write_vg(tmp_path / "vg", [vg_image(1)], {})
    (tmp_path / "vg/objects.json").write_text(json.dumps([record]))
    with pytest.raises(DataError, match=rf"objects\.json: its records have .*{words}.*put objects\.json"):
        prepare_plainly(tmp_path / "out", f"vg=vg:{tmp_path}/vg")


def test_scene_graphs_are_read_as_objects(tmp_path: Path) -> None:
    write_vg(tmp_path / "vg", [vg_image(1)], {})
    record = {"image_id": 1, "relationships": [], "objects": [{**vg_object(7), "attributes": ["green"]}]}
    (tmp_path / "vg/objects.json").write_text(json.dumps([record]))
    assert prepare_plainly(tmp_path / "out", f"vg=vg:{tmp_path}/vg").rejected == {}
