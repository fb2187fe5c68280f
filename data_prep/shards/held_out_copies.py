"""Keep copies of held-out images out of training by what they show, whatever their ids say.

A shard held out of training leaves descriptions of its images in the work folder. Training images are compared with
them when they are written. Those of COCO, and of the held-out image's own source, stay: `plan.held_out_rule`.
"""

import hashlib
import io
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from data_prep.content.comparison import same_picture
from data_prep.content.search import LEAST_SIDE, PICTURE, HeldOutPictures, Pictures, describe
from data_prep.content.thumbnail import thumbnail
from data_prep.format.exif_rule import ExifRule
from data_prep.format.images import decode_luminance
from data_prep.plan.held_out_rule import TRAIN, is_kept
from data_prep.plan.merge import MergedImage
from data_prep.plan.plan import Plan, PlannedImage, read_planned_images, work_folder
from data_prep.shards.frame import is_upright
from data_prep.shards.image_file import ImageFile
from data_prep.sources.images import SourceImage
from data_prep.storage.errors import DataError
from data_prep.storage.read_ahead import Read
from data_prep.storage.storage import local_copy, read, write


def pictures_path(plan: Plan, number: int) -> str:
    """The path of the descriptions that a held-out shard leaves of its images."""
    return f"{work_folder(plan.out)}/held_out/{plan.shards[number].path}.npy"


def describe_file(position: int, file: ImageFile) -> list[Pictures]:
    """Describe a held-out image, each of its frames."""
    return [describe(position, grey) for grey in file.frames]


def write_pictures(plan: Plan, number: int, described: Sequence[Pictures]) -> str:
    """Write the descriptions of a held-out shard's images, each with its position there; returns the file's SHA-256."""
    buffer = io.BytesIO()
    np.save(buffer, np.concatenate([np.zeros(0, PICTURE), *described]), allow_pickle=False)
    write(pictures_path(plan, number), buffer.getvalue())
    return hashlib.sha256(buffer.getvalue()).hexdigest()


class HeldOutGalleries(dict[str, HeldOutPictures]):
    """The held-out images that a source's training images must not be copies of (`data_prep.plan.held_out_rule`).

    Each is read at its first use; every held-out shard must be finished by then.
    """

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self._plan = plan

    def __missing__(self, source: str) -> HeldOutPictures:
        blocks: list[Pictures] = []
        keys: list[str] = []
        held_out = [number for number, shard in enumerate(self._plan.shards) if shard.split != TRAIN]
        for number in held_out:
            images = [planned.merged for planned in read_planned_images(self._plan.out, number)]
            if all(is_kept(source, image.canonical.source) for image in images):
                continue
            pictures: Pictures = np.load(local_copy(pictures_path(self._plan, number)), mmap_mode="r")
            described = [images[position] for position in pictures["photograph"].tolist()]
            compared = [not is_kept(source, image.canonical.source) for image in described]
            blocks.append(pictures if all(compared) else pictures[compared])
            keys += [image.key for image, chosen in zip(described, compared, strict=True) if chosen]
        return self.setdefault(source, HeldOutPictures(blocks, keys))


def copy_of(image: MergedImage, file: ImageFile, galleries: HeldOutGalleries) -> str | None:
    """The key of the held-out image that a training image is a copy of in any of its frames, or None."""
    if image.split != TRAIN:
        return None
    gallery = galleries[image.canonical.source]
    return next(filter(None, map(gallery.copied_by, file.frames)), None)


def disagreeing(
    planned: PlannedImage, grey: npt.NDArray[np.uint8], read: Read = read, exif: ExifRule = "auto"
) -> list[SourceImage]:
    """The copies whose ids name this image, and whose own files clearly show another.

    A copy whose file is missing, unreadable or the very same is trusted.
    """
    return [copy for copy in own_files(planned) if not _shows(copy, grey, read, exif)]


def own_files(planned: PlannedImage) -> list[SourceImage]:
    """The copies of an image, other than the canonical one, that have a file of their own."""
    canonical, *copies = planned.merged.copies
    files = zip(copies, planned.copy_versions, strict=True)
    return [copy for copy, version in files if version is not None and copy.path != canonical.path]


def _shows(copy: SourceImage, grey: npt.NDArray[np.uint8], read: Read, exif: ExifRule) -> bool:
    try:
        shown = decode_luminance(read(copy.path), copy.path, LEAST_SIDE)
    except DataError:
        return True
    own = shown.upright if is_upright(copy, shown, exif) else shown.grey
    return same_picture(thumbnail(grey), thumbnail(own))
