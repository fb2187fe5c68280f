"""Which objects of which images are segmented: read the annotation files once, and cut the images into parts."""

import dataclasses
import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from data_prep.beam.part_files import cut
from data_prep.format.exif_rule import ExifRule
from data_prep.format.vocabulary import Vocabulary
from data_prep.plan.image_files import ImageFiles
from data_prep.sources.box_counts import BoxCounts
from data_prep.sources.coco import CocoListing, list_coco
from data_prep.sources.images import SourceImage
from data_prep.sources.json_files import map_file
from data_prep.sources.labels import tell
from data_prep.sources.lvis import list_lvis
from data_prep.sources.options import CocoFiles, parse_sources
from data_prep.storage.errors import ConfigError, DataError
from data_prep.storage.storage import absolute, is_on_disk
from maskx_model.annotate.boxes import BoxesReader, Replace
from maskx_model.annotate.class_names import class_finder
from maskx_model.annotate.work import OBJECT, AnnotatedFile, BoxedImage, Objects, Plan
from maskx_model.artifacts.origin import Origin

PART = 50
"""Images of a part: what a worker does at a time, and loses at most when it is killed."""
_PACKED = re.compile(r"(?:\.json)?\.(?:gz|zip)$", re.IGNORECASE)
"""The end of a packed file's name."""


@dataclass(frozen=True)
class Input:
    """A COCO-format file to complete: what it lists, where it is, its name in the output folder, and its images' files,
    in the order of the listing. `images_hash` changes when an image's file is another one, comes, goes, or is written
    again; it is empty where the images are a dataset's."""

    listing: CocoListing
    uri: str
    name: str
    images: Sequence[BoxedImage]
    images_hash: str = ""


def read_source(option: str, exif: ExifRule = "auto") -> list[Input]:
    """The files of a `--source` option (`NAME=coco:…` or `NAME=lvis:…`); `exif`: which images are read upright.

    Raises ConfigError for Visual Genome's format, which has no masks, for two files that would come back under one
    name, and as `parse_sources`; DataError for a file that is not in COCO's format.
    """
    inputs: list[Input] = []
    for number, files in enumerate(parse_sources((option,))):
        if not isinstance(files, CocoFiles):
            raise ConfigError(
                f"--source {option}: Visual Genome's files have no place for masks; run `maskx data prepare` on them "
                "and give the dataset with --dataset and --source-name"
            )
        tell(files)
        listing = (list_coco if files.kind == "coco" else list_lvis)(files, number)
        image_files = ImageFiles()
        located = image_files.locate(listing.images).images
        images = [BoxedImage(_whole(i.path), i.width, i.height, exif=exif) for i in located]
        if exif == "apply":
            listing = _either_way(listing)
        name = _name_out(files.label)
        if others := [other.uri for other in inputs if other.name == name]:
            raise ConfigError(
                f"--source {option}: {others[0]} and {files.annotations} would both come back as {name}; "
                "move one of them away, or name one as ANNOTATIONS,IMAGES"
            )
        inputs.append(Input(listing, files.annotations, name, images, _hash(located, image_files)))
    return inputs


def make_plan(
    inputs: Sequence[Input], vocabulary: Vocabulary, replace: Replace, made_from: Origin
) -> tuple[Plan, list[BoxedImage], Objects]:
    """The plan of a run, its images and its objects; only images with objects to segment take part.

    Raises DataError if the boxes as a whole are not COCO's, as `maskx data prepare` does.
    """
    find = class_finder(vocabulary)
    outcomes: Counter[str] = Counter()
    unknown: Counter[str] = Counter()
    look = BoxCounts()
    files, everything = [], []
    first = 0
    for number, given in enumerate(inputs):
        boxes = BoxesReader(map_file(given.uri), given.listing, number, find, replace).read()
        files.append(AnnotatedFile(given.uri, given.name, boxes.annotations))
        outcomes += boxes.outcomes
        unknown += boxes.unknown_classes
        look.join(boxes.look)
        objects = np.concatenate([np.zeros(0, OBJECT), *boxes.objects])
        objects["image"] += first
        everything.append(objects)
        first += len(given.images)
    if trouble := look.trouble():
        raise DataError(f"{', '.join(given.uri for given in inputs)}: {trouble}; write them anew")
    objects = np.concatenate([np.zeros(0, OBJECT), *everything])
    objects = objects[np.argsort(objects["image"], kind="stable")]
    used, objects["image"] = np.unique(objects["image"], return_inverse=True)
    listed = [image for given in inputs for image in given.images]
    images = [listed[position] for position in used.tolist()]
    plan = Plan(made_from, tuple(files), tuple(cut(len(images), PART)), dict(outcomes), dict(unknown.most_common()))
    return plan, images, objects


def _either_way(listing: CocoListing) -> CocoListing:
    """The listing with images as squares of their longer side: the sizes may be the stored images', and the boxes the
    upright ones'."""
    images = [
        msgspec.structs.replace(image, width=side, height=side)
        for image in listing.images
        for side in [max(image.width, image.height)]
    ]
    return dataclasses.replace(listing, images=images)


def _name_out(name: str) -> str:
    """The name of the file that comes back, which is plain JSON: that of the given one without .gz or .zip."""
    return _PACKED.sub(".json", name)


def _hash(images: Sequence[SourceImage], files: ImageFiles) -> str:
    """Of the images' paths, and of the sizes and versions of those whose files were found."""
    digest = hashlib.sha256()
    for image in images:
        found = files.as_written(image)
        state = "" if found is None else f"{found.info.bytes}\0{found.info.version}"
        digest.update(f"{_whole(image.path)}\0{state}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _whole(path: str) -> str:
    return absolute(path) if path and is_on_disk(path) else path
