"""Keep merged images out of training that have an id of a held-out image, though they did not join it.

A COCO-format image is canonical whatever Flickr photo it is: `merge` asks only images that name another by `coco_id`,
Visual Genome's, and those of a file that is listed twice.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain

from data_prep.format.manifest import HeldOut, ToldBy
from data_prep.plan.held_out_rule import COCO, TRAIN, is_kept
from data_prep.plan.merge import Merged, MergedImage
from data_prep.sources.images import SourceImage

_Id = tuple[ToldBy, int]
_HeldOutIds = dict[_Id, list[tuple[str, str]]]
"""Id → source and key of each held-out image that has it."""


def without_held_out_ids(merged: Merged, rejected: Iterable[MergedImage] = ()) -> Merged:
    """Without the training images that have an id of another source's held-out image, `rejected` ones included; COCO's
    own stay."""
    held_out: _HeldOutIds = {}
    for image in chain(merged.images, rejected):
        for copy in image.copies if image.split != TRAIN else ():
            for name in _ids(copy) if copy.split != TRAIN else ():
                held_out.setdefault(name, []).append((copy.source, image.key))
    images: list[MergedImage] = []
    excluded: list[tuple[SourceImage, str]] = []
    listed: list[HeldOut] = []
    for image in merged.images:
        found = _named(image, held_out)
        if found is None:
            images.append(image)
            continue
        excluded += [(copy, "val_in_train") for copy in image.copies]
        listed += [HeldOut(copy.source, copy.dataset_id, *found) for copy in image.copies]
    return replace(merged, images=images, excluded=merged.excluded + excluded, held_out=[*merged.held_out, *listed])


def _named(image: MergedImage, held_out: _HeldOutIds) -> tuple[ToldBy, str] | None:
    """By which id, and the key of which held-out image, a training image must leave; None if it may stay."""
    if image.split != TRAIN or any(copy.source == COCO for copy in image.copies):
        return None
    for copy in image.copies:
        for name in _ids(copy):
            for source, key in held_out.get(name, ()):
                if not is_kept(copy.source, source):
                    return name[0], key
    return None


def _ids(image: SourceImage) -> Iterator[_Id]:
    coco_id = image.id if image.source == COCO else image.coco_id
    if coco_id is not None:
        yield "coco_id", coco_id
    if image.flickr_id is not None:
        yield "flickr_id", image.flickr_id
