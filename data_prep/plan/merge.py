"""Which images of different sources are one image, and what stays out of training for that reason.

COCO-format images stand for themselves, but LVIS's join COCO's where it has them. A Visual Genome image joins the COCO
image that its `coco_id` names, else the COCO-format image with its Flickr photo id; the COCO-format file, its
size and its coordinates stand.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from data_prep.format.manifest import HeldOut, ToldBy
from data_prep.format.records import photograph_key
from data_prep.sources.images import SourceImage

COCO = "coco"
TRAIN = "train"
ASPECT_RATIO_TOLERANCE = 0.01


class Photograph(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One image: `images[0]` is the copy whose file and coordinates stand, the others lend their annotations.

    `name` is what its key begins with: that copy's source, and the split where the source has its id in several.
    """

    name: str
    images: tuple[SourceImage, ...]

    @property
    def key(self) -> str:
        """What tells it from all others, `coco-000000216794`."""
        return photograph_key(self.name, self.images[0].id)

    @property
    def split(self) -> str:
        """Its own."""
        return self.images[0].split

    @property
    def part(self) -> str:
        """Its sources' names, sorted and joined with `+`."""
        return "+".join(sorted(image.source for image in self.images))


@dataclass
class Merged:
    """All images; images left out, each with its reason's code; how many images stayed unmerged, by source.

    `held_out` names the images whose ids tie them to an image held out of training.
    """

    photographs: list[Photograph] = field(default_factory=list)
    left_out: list[tuple[SourceImage, str]] = field(default_factory=list)
    unmerged: Counter[str] = field(default_factory=Counter)
    held_out: list[HeldOut] = field(default_factory=list)


_Found = dict[int | None, tuple[SourceImage, ...]]


class _Standing:
    """The images that stand for an image, found by the ids that `naming` ones name them by."""

    def __init__(self, naming: Sequence[SourceImage]) -> None:
        self._by_coco_id: _Found = {i.coco_id: () for i in naming if i.coco_id is not None}
        self._by_flickr_id: _Found = {i.flickr_id: () for i in naming if i.flickr_id is not None}

    def add(self, image: SourceImage, coco_id: int | None) -> None:
        """Let an image be found."""
        if coco_id in self._by_coco_id:
            self._by_coco_id[coco_id] += (image,)
        if image.flickr_id in self._by_flickr_id:
            self._by_flickr_id[image.flickr_id] += (image,)

    def matches(self, image: SourceImage) -> tuple[SourceImage, ...]:
        """The images that this one's ids name, the one to join first."""
        found = self._by_coco_id.get(image.coco_id, ())
        more = self._by_flickr_id.get(image.flickr_id, ())
        return found + tuple([match for match in more if match not in found])

    def told_by(self, image: SourceImage, match: SourceImage) -> ToldBy:
        """Which of the image's ids names the match."""
        return "coco_id" if match in self._by_coco_id.get(image.coco_id, ()) else "flickr_id"


Fits = Callable[[SourceImage, SourceImage], bool]
_Joined = dict[tuple[int, int], list[SourceImage]]


def merge(coco_format: list[SourceImage], others: Iterable[SourceImage]) -> Merged:
    """Unite images by image; `coco_format` comes in the order of the sources.

    COCO-format images that name COCO's by `coco_id` (LVIS's) join it if they are of its size, as masks cannot be
    scaled; where there is none they stand themselves. An image that any of its ids ties to an image held out of
    training never comes out in training.
    """
    merged, joined = Merged(), _Joined()
    ordered = sorted(others, key=lambda image: image.identity)
    naming = [image for image in coco_format if image.coco_id is not None]
    standing = _Standing([*naming, *ordered])
    first = [image for image in coco_format if image.coco_id is None]
    for image in first:
        standing.add(image, image.id if image.source == COCO else None)
    second = _join(naming, standing, same_size, joined, merged)
    for image in second:
        standing.add(image, image.coco_id)
    alone = _join(ordered, standing, same_aspect_ratio, joined, merged)
    together = [(image, *joined.get(image.identity, [])) for image in first + second] + [(image,) for image in alone]
    merged.photographs = _name(together)
    keys = {p.images[0].identity: p.key for p in merged.photographs if p.split != TRAIN}
    merged.held_out = list(_held_out([*naming, *ordered], standing, keys))
    return merged


def _join(
    images: list[SourceImage], standing: _Standing, fits: Fits, joined: _Joined, merged: Merged
) -> list[SourceImage]:
    """Let each image join the one that stands for its image, or leave it out; returns those that join none."""
    alone = []
    for image in images:
        matches = standing.matches(image)
        already = joined.get(matches[0].identity, []) if matches else []
        if reason := _why_left_out(image, matches, already, fits):
            merged.left_out.append((image, reason))
        elif matches and fits(image, matches[0]):
            joined.setdefault(matches[0].identity, []).append(image)
        else:
            alone.append(image)
            merged.unmerged[image.source] += bool(matches)
    return alone


def _held_out(images: list[SourceImage], standing: _Standing, keys: dict[tuple[int, int], str]) -> Iterator[HeldOut]:
    """The training images whose ids name a held-out image of another source; `keys` by the standing image."""
    for image in images:
        held_out = (m for m in standing.matches(image) if m.split != TRAIN and m.source != image.source)
        if image.split == TRAIN and (match := next(held_out, None)):
            yield HeldOut(image.source, image.id, standing.told_by(image, match), keys[match.identity])


def _why_left_out(
    image: SourceImage, matches: Sequence[SourceImage], already: list[SourceImage], fits: Fits
) -> str | None:
    if not matches:
        return None
    first = matches[0]
    if first.split == TRAIN and any(match.split != TRAIN for match in matches):
        return "also_in_val"
    if first.split == TRAIN and image.split != TRAIN:
        return "val_in_train"
    if not fits(image, first):
        return "aspect_ratio_val" if first.split != TRAIN else None
    return "duplicate" if any(other.source == image.source for other in already) else None


def same_size(one: SourceImage, other: SourceImage) -> bool:
    """Whether two copies have the same pixels across and down."""
    return (one.width, one.height) == (other.width, other.height)


def same_aspect_ratio(one: SourceImage, other: SourceImage) -> bool:
    """Whether two copies' width to height differ by at most 1 %, so that one can be the other resized."""
    first, second = one.width * other.height, other.width * one.height
    return abs(first - second) <= ASPECT_RATIO_TOLERANCE * max(first, second)


def _name(together: list[tuple[SourceImage, ...]]) -> list[Photograph]:
    """Give each image its name.

    Annotation files of one's own often count from 1 in every split; there the key names the split as well.
    """
    once: dict[str, set[int]] = {}
    several: set[tuple[str, int]] = set()
    for standing, *_ in together:
        seen = once.setdefault(standing.source, set())
        if standing.id in seen:
            several.add((standing.source, standing.id))
        seen.add(standing.id)
    return [Photograph(_first_of_key(images[0], several), images) for images in together]


def _first_of_key(standing: SourceImage, several: set[tuple[str, int]]) -> str:
    if standing.split == TRAIN or (standing.source, standing.id) not in several:
        return standing.source
    return sys.intern(f"{standing.source}-{standing.split}")
