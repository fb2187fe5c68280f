"""Files of other kinds than are read here: what each is, and how people turn it into COCO's format.

`_BYTES` goes by how a file begins, `_MEMBERS` by the names of a JSON object's members, `_ITEMS` by those of the first
item of a JSON list, and `_ANNOTATIONS` by those of the first annotation of a file that is laid out as COCO's.
"""

import re
from collections.abc import Collection

HEAD = 1 << 12
"""How many bytes of a file `kind_of_bytes` looks at."""

_COCO_EXPORT = "export the project as COCO instead"
_CONVERT = "convert it to one COCO-format file"
_ARCHIVE = "unpack it, and name the COCO-format file and its image folder"

_BYTES = tuple(
    (re.compile(pattern, re.DOTALL), words)
    for pattern, words in (
        (rb"PK\x03\x04", f"a zip; {_ARCHIVE}"),
        (rb"7z\xbc\xaf|Rar!|\x28\xb5\x2f\xfd|BZh|\xfd7zXZ|.{257}ustar", f"an archive; {_ARCHIVE}"),
        (
            rb"\xff\xd8\xff|\x89PNG|GIF8|BM.{4}\0\0|II\*\0|MM\0\*|RIFF....WEBP",
            "an image; annotations come first: NAME=coco:ANNOTATIONS,IMAGES",
        ),
        (rb"version https://git-lfs", "a Git LFS pointer; `git lfs pull` fetches the file"),
        (rb"\x89HDF|PAR1|SQLite format 3", f"a table or database; {_CONVERT}"),
        (rb"\x80[\x02-\x05]", f"a Python pickle, which is never loaded; {_CONVERT}"),
        (rb".{8,512}(?:image/(?:encoded|filename|object|height)|tf_example)", f"a TFRecord file; {_CONVERT}"),
        (
            rb"\s*(?i:<!doctype html|<html)",
            "a web page, often an error or a login in place of a download; get the file itself",
        ),
        (
            rb"\s*(?:<\?xml[^>]*>\s*)?<annotations>",
            f"CVAT's own XML; {_COCO_EXPORT} (COCO 1.0)",
        ),
        (
            rb"\s*(?:<\?xml[^>]*>\s*)?<annotation\b",
            "a Pascal VOC file (XML) of one image; convert the folder of them to one COCO-format file "
            "(voc2coco, FiftyOne, Datumaro)",
        ),
        (rb"\s*<", f"XML; {_CONVERT}"),
        (
            rb"(?:[^{\[]*\n)?(?:path|train|val|test|nc|names)\s*:",
            "YOLO's data.yaml; convert the data set to COCO (FiftyOne, Datumaro, yolo2coco)",
        ),
        (
            rb"\d+(?: +-?[0-9.]+(?:e-?\d+)?){4,}\s*(?:\n|$)",
            "a YOLO label file of one image; convert the data set to COCO (FiftyOne, Datumaro, yolo2coco)",
        ),
        (rb'[^\n{}\[\]]*[\w"][,;\t][^\n{}\[\]]*(?:\n|$)', f"a table (CSV); {_CONVERT}"),
        (
            rb"\s*\{[^\n]*\}[ \t\r]*\n\s*\{",
            "JSON Lines (an object a line); write one JSON object with images, annotations and categories",
        ),
    )
)
_LABELME = "labelme's file of one image; convert the folder of them with labelme's labelme2coco.py"
_VIA = "VIA's own format; in VIA choose Annotation, Export Annotations (COCO format)"
_MEMBERS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("shapes", "imagePath"), _LABELME),
    (("_via_settings",), f"a project of {_VIA}"),
    (("_via_img_metadata",), f"a project of {_VIA}"),
    (("assets", "tags"), f"a VoTT project; {_CONVERT}"),
    (("asset", "regions"), f"VoTT's file of one image; {_CONVERT}"),
    (("objects", "size"), f"Supervisely's file of one image; {_COCO_EXPORT}"),
    (("imgHeight", "objects"), f"a Cityscapes file of one image; {_CONVERT}"),
    (("item", "annotations"), f"V7 Darwin's file of one image; {_COCO_EXPORT}"),
    (("items", "categories"), "Datumaro's own format; convert it: datum convert -f coco_instances"),
    (("samples",), "FiftyOne's own format; export it with dataset_type=fiftyone.types.COCODetectionDataset"),
    (("type", "features"), f"GeoJSON; {_CONVERT}"),
    (("images", "categories"), "COCO's list of images alone (image_info), without annotations"),
    (("images", "type"), "a list of images without annotations"),
)
_ITEMS: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        ("image_id", "score"),
        "results (predictions), a bare list; put it as annotations beside the images and categories of the file that "
        "they were predicted for",
    ),
    (("image_id", "caption"), "captions, which have no boxes"),
    (("image_id", "category_id"), "COCO's annotations alone; images and categories are needed beside them"),
    (("image_id", "objects"), "Visual Genome's objects.json; write NAME=vg:FOLDER"),
    (("image_id", "attributes"), "Visual Genome's attributes.json; write NAME=vg:FOLDER, for objects.json"),
    (("image_id", "relationships"), "Visual Genome's relationships.json; write NAME=vg:FOLDER, for objects.json"),
    (("shapes", "imagePath"), _LABELME),
    (("data", "annotations"), f"Label Studio's own format (JSON); {_COCO_EXPORT}"),
    (("data", "completions"), f"Label Studio's own format (JSON); {_COCO_EXPORT}"),
    (("id", "annotator", "image"), f"Label Studio's own format (JSON-MIN); {_COCO_EXPORT}"),
    (("data_row",), f"Labelbox's own format; {_CONVERT}"),
    (("image", "annotations"), f"Create ML's format; {_CONVERT}"),
    (("name", "labels"), f"BDD100K's or Scalabel's format; {_CONVERT}"),
    (("file_name", "annotations"), f"a list of images with annotations inside; {_CONVERT}"),
)
_ANNOTATIONS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("caption",), "captions, which have no boxes; give the instances file of the same images"),
    (
        ("segments_info",),
        "panoptic annotations, whose masks are in images of their own; give the instances file, or convert it with "
        "panopticapi's panoptic2detection_coco_format.py",
    ),
    (
        ("keypoints",),
        "key points without boxes or masks; give the instances file, or add a bbox to each annotation",
    ),
)
# Beside `objects.json` in Visual Genome's releases; each lists images, and in each image what its name says.
_VISUAL_GENOME = ("attributes", "relationships", "regions", "qas", "graphs", "region_graphs")
_BOXES = {"bbox", "segmentation"}


def kind_of_bytes(head: bytes) -> str | None:
    """What a file that is no JSON looks like, by its first bytes; None if that is not known."""
    return next((words for pattern, words in _BYTES if pattern.match(head)), None)


def kind_of_object(members: Collection[str], first: Collection[str] = ()) -> str | None:
    """What a JSON object is, by its members' names and those of the first member's value if that is an object."""
    if {"filename", "regions"} <= set(first):
        return f"annotations in {_VIA}"
    return _first(_MEMBERS, members)


def kind_of_items(names: Collection[str]) -> str | None:
    """What a bare JSON list is, by the names in its first item."""
    return _first(_ITEMS, names)


def kind_of_annotations(names: Collection[str]) -> str | None:
    """What a file that is laid out as COCO's is, by the names in its first annotation; None if that has a box or
    mask."""
    return None if _BOXES & set(names) and "segments_info" not in names else _first(_ANNOTATIONS, names)


def kind_of_visual_genome(names: Collection[str]) -> str | None:
    """Which other file of Visual Genome's a list is, by the names in its first item; None if that lists objects."""
    if "objects" in names:
        return None
    if "coco_id" in names or "flickr_id" in names:
        return "Visual Genome's image_data.json"
    found = next((name for name in _VISUAL_GENOME if name in names), None)
    return f"Visual Genome's {found}.json, renamed perhaps" if found else None


def _first(table: tuple[tuple[tuple[str, ...], str], ...], names: Collection[str]) -> str | None:
    return next((words for wanted, words in table if set(wanted) <= set(names)), None)
