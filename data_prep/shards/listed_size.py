"""An image whose listed width and height are absent or wrong: the file's are taken if the annotations fit them."""

import msgspec

from data_prep.plan.merge import MergedImage, same_aspect_ratio
from data_prep.shards.image_file import ImageFile
from data_prep.shards.read_annotations import FileAnnotations
from data_prep.sources.images import SourceImage
from data_prep.sources.reasons import BrokenError

# Exports round, or count from the first pixel.
_ROUNDING = 2


def turned_as(image: MergedImage, file: ImageFile) -> MergedImage:
    """The image with its listed width and height swapped, where its file is upright and the listed size is the stored
    one's: its annotations, which `--exif apply` says are of the upright image, need that one's size."""
    listed = image.canonical
    if not file.upright or len(image.copies) > 1 or (listed.width, listed.height) != (file.height, file.width):
        return image
    actual = msgspec.structs.replace(listed, width=file.width, height=file.height)
    return msgspec.structs.replace(image, copies=(actual,))


def with_size_of_file(image: MergedImage, file: ImageFile) -> MergedImage:
    """The image with its file's width and height.

    Raises BrokenError if the annotations belong to other pixels: where several copies share them, where the listed
    width and height are swapped, or are those of the image at another resolution.
    """
    listed = image.canonical
    actual = msgspec.structs.replace(listed, width=file.width, height=file.height)
    if listed.width and listed.height and not _close(listed, actual):
        swapped = (listed.width, listed.height) == (actual.height, actual.width)
        if len(image.copies) > 1 or swapped or same_aspect_ratio(listed, actual):
            raise mismatch(image, file)
    return msgspec.structs.replace(image, copies=(actual, *image.copies[1:]))


def size_finding(image: MergedImage, file: ImageFile) -> list[tuple[str, str]]:
    """What is to be told of an image whose listed width and height are not its file's: the reason's code, and what was
    seen; nothing of any other."""
    listed = image.canonical
    if (file.width, file.height) == (listed.width, listed.height):
        return []
    said = f"listed as {listed.width}×{listed.height}" if listed.width and listed.height else "no size listed"
    seen = f"{said}, {file.width}×{file.height} pixels"
    return [("size_from_file", seen)]


def check_boxes_fit(image: MergedImage, file: ImageFile, annotations: list[FileAnnotations]) -> None:
    """Raise BrokenError if boxes reach beyond the file's pixels: then they belong to others."""
    for each in annotations:
        outside = any(rejected.reason == "outside_image" for rejected in each.objects.rejected)
        if each.objects.boxes.beyond or outside:
            raise mismatch(image, file)


def mismatch(image: MergedImage, file: ImageFile) -> BrokenError:
    """The error of an image whose annotations belong to other pixels than its file's."""
    listed = image.canonical
    return BrokenError("size_mismatch", f"{file.width}×{file.height} pixels, listed as {listed.width}×{listed.height}")


def _close(listed: SourceImage, actual: SourceImage) -> bool:
    return abs(listed.width - actual.width) <= _ROUNDING and abs(listed.height - actual.height) <= _ROUNDING
