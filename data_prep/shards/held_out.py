"""What stays out of training for what it shows, whatever its ids say.

A shard that is held out of training leaves its images' descriptions in the work folder. Against them the training
images of other sources are compared when they are written. COCO's own training images are never thinned.
"""

import hashlib
import io
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from data_prep.content.comparison import same_picture
from data_prep.content.held_out import LEAST_SIDE, PICTURE, HeldOutPictures, Pictures
from data_prep.content.thumbnail import thumbnail
from data_prep.format.images import decode_luminance
from data_prep.plan.merge import COCO, TRAIN, Photograph
from data_prep.plan.plan import Plan, PlannedPhotograph, read_photographs, work_folder
from data_prep.sources.images import SourceImage
from data_prep.storage.errors import DataError
from data_prep.storage.read_ahead import Read
from data_prep.storage.storage import local_copy, read, write


def pictures_path(plan: Plan, number: int) -> str:
    """Where a held-out shard leaves the descriptions of its images."""
    return f"{work_folder(plan.out)}/held_out/{plan.shards[number].path}.npy"


def write_pictures(plan: Plan, number: int, described: Sequence[Pictures]) -> str:
    """Leave a held-out shard's images, each described under its position there; returns the file's SHA-256."""
    buffer = io.BytesIO()
    np.save(buffer, np.concatenate([np.zeros(0, PICTURE), *described]), allow_pickle=False)
    write(pictures_path(plan, number), buffer.getvalue())
    return hashlib.sha256(buffer.getvalue()).hexdigest()


class Galleries(dict[str, HeldOutPictures]):
    """The held-out images that a source's training images must not be copies of: those of other sources.

    Read when first asked for; every held-out shard must be finished by then.
    """

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self._plan = plan

    def __missing__(self, source: str) -> HeldOutPictures:
        blocks: list[Pictures] = []
        keys: list[str] = []
        held_out = [number for number, shard in enumerate(self._plan.shards) if shard.split != TRAIN]
        for number in held_out if source != COCO else []:
            pictures: Pictures = np.load(local_copy(pictures_path(self._plan, number)), mmap_mode="r")
            photographs = read_photographs(self._plan.out, number)
            own = [photographs[row].photograph for row in pictures["photograph"].tolist()]
            others = [photograph.images[0].source != source for photograph in own]
            blocks.append(pictures if all(others) else pictures[others])
            keys += [photograph.key for photograph, other in zip(own, others, strict=True) if other]
        return self.setdefault(source, HeldOutPictures(blocks, keys))


def copy_of(photograph: Photograph, grey: npt.NDArray[np.uint8], galleries: Galleries) -> str | None:
    """The key of the held-out image that a training image, uint8[rows, columns], is a copy of, if any."""
    return galleries[photograph.images[0].source].copied_by(grey) if photograph.split == TRAIN else None


def disagreeing(planned: PlannedPhotograph, grey: npt.NDArray[np.uint8], read: Read = read) -> list[SourceImage]:
    """The images that ids say to be this image, and whose own files clearly show another.

    One whose file is missing, cannot be read or is the very same is believed.
    """
    return [copy for copy in own_files(planned) if not _shows(copy.path, grey, read)]


def own_files(planned: PlannedPhotograph) -> list[SourceImage]:
    """The copies of an image that have a file of their own."""
    standing, *copies = planned.photograph.images
    files = zip(copies, planned.copies, strict=True)
    return [copy for copy, version in files if version is not None and copy.path != standing.path]


def _shows(path: str, grey: npt.NDArray[np.uint8], read: Read) -> bool:
    try:
        copy = decode_luminance(read(path), path, LEAST_SIDE)
    except DataError:
        return True
    return same_picture(thumbnail(grey), thumbnail(copy.grey))
