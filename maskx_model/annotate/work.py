"""What workers are told and what they answer: files in the work folder, `<out>/.annotate`."""

import io

import msgspec
import numpy as np
import numpy.typing as npt

from data_prep.beam.part_files import PartFiles
from data_prep.format.exif_rule import ExifRule
from data_prep.storage.errors import DataError
from data_prep.storage.own_files import read_own
from data_prep.storage.storage import exists, info, read, write
from maskx_model.artifacts.origin import Origin

OBJECT = np.dtype([("image", "<i4"), ("file", "<i4"), ("number", "<i8"), ("label", "<i4"), ("box", "<f8", 4)])
"""An object to segment: its image's position among all, its annotation file, its number among the annotations there
(from 0), its class's position in the model's vocabulary, and its box (x, y, width, height) in pixels."""

Objects = npt.NDArray[np.void]


class BoxedImage(msgspec.Struct, frozen=True, array_like=True):
    """An image with objects to segment: the file that holds it and, where that holds more, its bytes there (a length of
    -1: all). `width` and `height` as listed, in pixels; 0 where nothing is listed. `exif`: whether the boxes belong to
    the image as its EXIF data turn it; with `auto`, the listed size tells."""

    uri: str
    width: int
    height: int
    offset: int = 0
    length: int = -1
    exif: ExifRule = "auto"


class AnnotatedFile(msgspec.Struct, frozen=True):
    """A COCO-format file to complete, its name in the output folder, and its number of annotations."""

    uri: str
    name: str
    annotations: int


class Plan(msgspec.Struct, frozen=True):
    """All that workers need to know. `parts`: the images of each part, from … to before …; `outcomes`: of the
    annotations that are not segmented; `unknown_classes`: the number of annotations of each."""

    made_from: Origin
    files: tuple[AnnotatedFile, ...]
    parts: tuple[tuple[int, int], ...]
    outcomes: dict[str, int]
    unknown_classes: dict[str, int]


class MadeMask(msgspec.Struct, frozen=True, array_like=True):
    """The mask of annotation `number` of file `file`: `certainty`, the mean of |2p − 1| within it, and what stands as
    its `segmentation`."""

    file: int
    number: int
    certainty: float
    segmentation: msgspec.Raw


class PartResult(msgspec.Struct, frozen=True):
    """What became of the objects of a part; `problems` names images that cannot be used; `exif_orientation` is
    the number of images with an EXIF orientation that the rule `auto` left as they are stored."""

    masks: list[MadeMask]
    outcomes: dict[str, int]
    problems: list[str]
    exif_orientation: int = 0


def work_folder(out: str) -> str:
    """Where everything stands that is needed until the output is whole."""
    return f"{out}/.annotate"


def write_plan(out: str, plan: Plan, images: list[BoxedImage], objects: Objects) -> None:
    """Write what workers read; the plan itself last."""
    folder = work_folder(out)
    buffer = io.BytesIO()
    np.save(buffer, objects, allow_pickle=False)
    write(f"{folder}/objects.npy", buffer.getvalue())
    write(f"{folder}/images.json", msgspec.json.encode(images))
    write(f"{folder}/plan.json", msgspec.json.encode(plan))


def read_plan(out: str) -> Plan | None:
    """The plan of a run that has begun; None where none has. Raises DataError if it is damaged."""
    uri = f"{work_folder(out)}/plan.json"
    return read_own(uri, Plan) if exists(uri) else None


def plan_version(out: str) -> int | str:
    """What changes when the plan does; raises DataError if there is none."""
    found = info(f"{work_folder(out)}/plan.json")
    if found is None:
        raise DataError(f"{out}: its work folder has gone; give the command again")
    return found.version


def read_images(out: str) -> list[BoxedImage]:
    """All images with objects to segment."""
    return read_own(f"{work_folder(out)}/images.json", list[BoxedImage], delete=work_folder(out))


def read_objects(out: str) -> Objects:
    """All objects to segment, by image."""
    objects: Objects = np.load(io.BytesIO(read(f"{work_folder(out)}/objects.npy")), allow_pickle=False)
    return objects


def part_files(out: str) -> PartFiles:
    """The files of the parts."""
    return PartFiles(f"{work_folder(out)}/parts", ".json")


def read_part(out: str, part: int) -> PartResult:
    """The result of a part; raises DataError if it is damaged."""
    return read_own(part_files(out).uri(part), PartResult)
