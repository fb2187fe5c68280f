"""The least possible work: parse every object of the files, typed, and encode every mask. No Beam.

Nothing is merged, checked, counted or written. One item is decoded at a time from views of the mapped file.
"""

import argparse
import mmap
from pathlib import Path

import msgspec
from pycocotools import mask as coco_mask


class _Image(msgspec.Struct, gc=False):
    id: int
    width: int
    height: int


class _RunLengths(msgspec.Struct, gc=False):
    size: tuple[int, int]
    counts: list[int]


class _Annotation(msgspec.Struct):
    id: int
    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]
    area: float
    iscrowd: int
    segmentation: list[list[float]] | _RunLengths


class _Object(msgspec.Struct, gc=False):
    object_id: int
    x: float
    y: float
    w: float
    h: float
    synsets: list[str]


class _Objects(msgspec.Struct):
    image_id: int
    objects: list[_Object]


def _mapped(path: Path) -> memoryview:
    with path.open("rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def coco(path: Path) -> int:
    """Parse a COCO file and encode its masks; returns the bytes of run lengths."""
    members = msgspec.json.decode(_mapped(path), type=dict[str, msgspec.Raw])
    sizes = {i.id: (i.height, i.width) for i in msgspec.json.decode(members["images"], type=list[_Image])}
    decoder = msgspec.json.Decoder(_Annotation)
    encoded = 0
    for item in msgspec.json.decode(members["annotations"], type=list[msgspec.Raw]):
        annotation = decoder.decode(item)
        segmentation, (height, width) = annotation.segmentation, sizes[annotation.image_id]
        if isinstance(segmentation, list):
            rles = coco_mask.frPyObjects(segmentation, height, width)
            rle = rles[0] if len(rles) == 1 else coco_mask.merge(rles)
        else:
            rle = coco_mask.frPyObjects({"size": [height, width], "counts": segmentation.counts}, height, width)
        encoded += len(rle["counts"])
    return encoded


def visual_genome(folder: Path) -> int:
    """Parse Visual Genome's files; returns the number of objects."""
    images = msgspec.json.decode(_mapped(folder / "image_data.json"), type=list[dict[str, int | str | None]])
    decoder = msgspec.json.Decoder(_Objects)
    objects = len(images)
    for item in msgspec.json.decode(_mapped(folder / "objects.json"), type=list[msgspec.Raw]):
        objects += len(decoder.decode(item).objects)
    return objects - len(images)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    options = parser.parse_args()
    encoded = sum(coco(path) for path in sorted((options.data / "coco/annotations").glob("*.json")))
    print(f"{encoded} bytes of run lengths, {visual_genome(options.data / 'visual_genome')} objects")


if __name__ == "__main__":
    main()
