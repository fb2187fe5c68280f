"""An image whose listed width and height are absent or wrong: the file's are taken if the annotations fit them."""

from collections.abc import Iterable

import msgspec

from data_prep.plan.merge import MergedImage, are_close, are_other_pixels, has_size
from data_prep.shards.image_file import ImageFile
from data_prep.shards.read_annotations import FileAnnotations
from data_prep.sources.images import SourceImage
from data_prep.sources.reasons import BrokenError


def turned_as(image: MergedImage, file: ImageFile) -> MergedImage:
    """The image with its listed width and height swapped, where its file is upright and the listed size is the stored
    one's: its annotations, which `--exif apply` says are of the upright image, need that one's size."""
    if not file.upright or len(image.of_its_file) < len(image.copies):
        return image
    stored = (file.height, file.width)
    copies = [_sized(copy, file) if (copy.width, copy.height) == stored else copy for copy in image.copies]
    return msgspec.structs.replace(image, copies=tuple(copies))


def with_size_of_file(image: MergedImage, file: ImageFile) -> MergedImage:
    """The image with its file's width and height.

    Raises BrokenError if the annotations belong to other pixels: where copies of other files share them, where the
    listed width and height are swapped, or are those of the image at another resolution.
    """
    listed = image.canonical
    actual = _sized(listed, file)
    shared = len(image.of_its_file) < len(image.copies) and has_size(listed) and not are_close(listed, actual)
    if shared or are_other_pixels(listed, actual):
        raise mismatch(listed, file)
    return msgspec.structs.replace(image, copies=(actual, *image.copies[1:]))


def size_finding(listed: SourceImage, file: ImageFile) -> list[tuple[str, str]]:
    """What to report of an image whose listed width and height are not its file's: the reason's code, and what was
    found; nothing of any other."""
    if _fits(listed, file):
        return []
    said = f"listed as {listed.width}×{listed.height}" if has_size(listed) else "no size listed"
    seen = f"{said}, {file.width}×{file.height} pixels"
    return [("size_from_file", seen)]


def of_other_pixels(image: MergedImage, file: ImageFile, annotations: list[FileAnnotations]) -> list[SourceImage]:
    """The copies of the image's file whose annotations belong to other pixels: another size is listed, and either boxes
    reach beyond the file's pixels, or the listed size is that of the image turned or at another resolution."""
    copies = {copy.source: copy for copy in image.of_its_file}
    beyond = {copies.get(each.file.source, image.canonical).source for each in annotations if _reach_beyond(each)}
    return [
        copy
        for source, copy in copies.items()
        if has_size(copy) and not _fits(copy, file) and (source in beyond or are_other_pixels(copy, _sized(copy, file)))
    ]


def boxes_finding(
    listed: SourceImage, file: ImageFile, annotations: Iterable[FileAnnotations]
) -> list[tuple[str, str]]:
    """What is to be told of an image whose file is wider or higher than listed, and beyond whose listed size none of
    its boxes reaches: they may belong to a copy that was stretched."""
    larger = file.width > listed.width or file.height > listed.height
    if not has_size(listed) or not larger or are_close(listed, _sized(listed, file)):
        return []
    boxes = [annotation.bbox for each in annotations for annotation in each.objects.annotations]
    if not boxes or any(x + w > listed.width or y + h > listed.height for x, y, w, h in boxes):
        return []
    return [("boxes_of_listed_size", f"listed as {listed.width}×{listed.height}, {file.width}×{file.height} pixels")]


def mismatch(listed: SourceImage, file: ImageFile) -> BrokenError:
    """The error of an image whose annotations belong to other pixels than its file's."""
    return BrokenError("size_mismatch", f"{file.width}×{file.height} pixels, listed as {listed.width}×{listed.height}")


def _fits(listed: SourceImage, file: ImageFile) -> bool:
    return (listed.width, listed.height) == (file.width, file.height)


def _sized(listed: SourceImage, file: ImageFile) -> SourceImage:
    return msgspec.structs.replace(listed, width=file.width, height=file.height)


def _reach_beyond(annotations: FileAnnotations) -> bool:
    outside = any(rejected.reason == "outside_image" for rejected in annotations.objects.rejected)
    return outside or bool(annotations.objects.boxes.beyond)
