"""Merge the copies of an image that different sources list, and keep copies of held-out images out of training.

A COCO-format image is canonical, but LVIS's join COCO's where it has them. A Visual Genome image joins the COCO image
that its `coco_id` names, else the COCO-format image with its Flickr photo id; the file, size and coordinates of the
COCO-format image are used.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from data_prep.format.manifest import HeldOut, ToldBy
from data_prep.format.records import image_key
from data_prep.plan.held_out_rule import COCO, TRAIN, why_not_in_training
from data_prep.sources.images import SourceImage

ASPECT_RATIO_TOLERANCE = 0.01
# Pixels: exports round, or count from the first pixel.
_ROUNDING = 2


class MergedImage(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An image as it is once in the dataset, merged from several sources' copies.

    `copies[0]` is the canonical copy, whose file, size and coordinates are used; the others add annotations. `name` is
    how its key begins: the canonical copy's source, and the split where the source has its id in several.
    """

    name: str
    copies: tuple[SourceImage, ...]

    @property
    def canonical(self) -> SourceImage:
        """The copy whose file, size and coordinates are used."""
        return self.copies[0]

    @property
    def key(self) -> str:
        """Its unique key in the dataset, `coco-000000216794`."""
        return image_key(self.name, self.canonical.dataset_id)

    @property
    def of_its_file(self) -> tuple[SourceImage, ...]:
        """The canonical copy and those of its very file, which have its size whatever they list."""
        return tuple([copy for copy in self.copies if copy.path == self.canonical.path])

    @property
    def split(self) -> str:
        """The canonical copy's split."""
        return self.canonical.split

    @property
    def part(self) -> str:
        """Its sources' names, sorted and joined with `+`."""
        return "+".join(sorted(copy.source for copy in self.copies))


@dataclass
class Merged:
    """All merged images; excluded copies, each with its reason's code; the number of copies left unmerged, by source.

    `held_out` names the training copies whose ids match an image held out of training.
    """

    images: list[MergedImage] = field(default_factory=list)
    excluded: list[tuple[SourceImage, str]] = field(default_factory=list)
    unmerged: Counter[str] = field(default_factory=Counter)
    held_out: list[HeldOut] = field(default_factory=list)


_Found = dict[int | None, tuple[SourceImage, ...]]


class _CanonicalImages:
    """Canonical images, found by the ids that the images `naming` refer to, and by the file of the images `sharing`."""

    def __init__(self, naming: Sequence[SourceImage], sharing: Sequence[SourceImage]) -> None:
        self._by_coco_id: _Found = {i.coco_id: () for i in naming if i.coco_id is not None}
        self._by_flickr_id: _Found = {i.flickr_id: () for i in naming if i.flickr_id is not None}
        self._by_path: dict[str, tuple[SourceImage, ...]] = {i.path: () for i in sharing}

    def add(self, image: SourceImage, coco_id: int | None) -> None:
        """Add a canonical image."""
        if coco_id in self._by_coco_id:
            self._by_coco_id[coco_id] += (image,)
        if image.flickr_id in self._by_flickr_id:
            self._by_flickr_id[image.flickr_id] += (image,)
        if image.path in self._by_path:
            self._by_path[image.path] += (image,)

    def matches(self, image: SourceImage) -> tuple[SourceImage, ...]:
        """The canonical images that this one's ids or its file name, first the one to join."""
        found = self._by_coco_id.get(image.coco_id, ())
        more = self._by_flickr_id.get(image.flickr_id, ()) + self._by_path.get(image.path, ())
        return tuple(dict.fromkeys(found + more)) if more else found

    def matched_by(self, image: SourceImage, match: SourceImage) -> ToldBy:
        """What of the image names the match."""
        if match in self._by_coco_id.get(image.coco_id, ()):
            return "coco_id"
        return "flickr_id" if match in self._by_flickr_id.get(image.flickr_id, ()) else "file"


Fits = Callable[[SourceImage, SourceImage], bool]
_Joined = dict[tuple[int, int], list[SourceImage]]


def merge(coco_format: list[SourceImage], others: Iterable[SourceImage]) -> Merged:
    """Merge the sources' images; `coco_format` comes in the order of the sources.

    COCO-format images that name COCO's by `coco_id` (LVIS's) join it if they have its size, as masks cannot be scaled;
    where there is none they are canonical themselves. One whose file another source lists before it joins that image
    unless their sizes say that their annotations are of other pixels. What is asked whether it joins another, and has
    an id of a held-out image, is never in training; `held_out_ids.py` asks the others.
    """
    merged, joined = Merged(), _Joined()
    ordered = sorted(others, key=lambda image: image.identity)
    naming = [image for image in coco_format if image.coco_id is not None]
    first, sharing = _by_file([image for image in coco_format if image.coco_id is None])
    canonical = _CanonicalImages([*naming, *ordered], sharing)
    for image in first:
        canonical.add(image, image.id if image.source == COCO else None)
    second = _join([*sharing, *naming], canonical, same_pixels, joined, merged)
    for image in second:
        canonical.add(image, image.coco_id)
    alone = _join(ordered, canonical, same_aspect_ratio, joined, merged)
    groups = [(image, *joined.get(image.identity, [])) for image in first + second] + [(image,) for image in alone]
    merged.images = _name(groups)
    keys = {m.canonical.identity: m.key for m in merged.images if m.split != TRAIN}
    merged.held_out = list(_held_out([*sharing, *naming, *ordered], canonical, keys))
    return merged


def _by_file(images: list[SourceImage]) -> tuple[list[SourceImage], list[SourceImage]]:
    """The first image of each file, and the further images: one held out of training is before all others, and one
    whose size is listed before those without."""
    first: dict[str, SourceImage] = {}
    for image in sorted(images, key=lambda i: (i.split == TRAIN, i.source != COCO and not has_size(i))):
        if image.path:
            first.setdefault(image.path, image)
    alone = [image for image in images if not image.path or first[image.path] is image]
    return alone, [image for image in images if image.path and first[image.path] is not image]


def _join(
    images: list[SourceImage], canonical: _CanonicalImages, fits: Fits, joined: _Joined, merged: Merged
) -> list[SourceImage]:
    """Let each image join its canonical image, or exclude it; returns those that join none."""
    alone = []
    for image in images:
        matches = canonical.matches(image)
        already = joined.get(matches[0].identity, []) if matches else []
        if reason := _why_excluded(image, matches, already, fits):
            merged.excluded.append((image, reason))
        elif matches and fits(image, matches[0]):
            joined.setdefault(matches[0].identity, []).append(image)
        else:
            alone.append(image)
            merged.unmerged[image.source] += bool(matches)
    return alone


def _held_out(
    images: list[SourceImage], canonical: _CanonicalImages, keys: dict[tuple[int, int], str]
) -> Iterator[HeldOut]:
    """The training images whose ids name a held-out image of another source, or whose file is a held-out one's; `keys`
    by the latter's identity."""
    for image in images:
        matches = [m for m in canonical.matches(image) if m.source != image.source or m.path == image.path]
        held_out = (m for m in matches if m.split != TRAIN)
        if image.split == TRAIN and (match := next(held_out, None)):
            yield HeldOut(image.source, image.id, canonical.matched_by(image, match), keys[match.identity])


def _why_excluded(
    image: SourceImage, matches: Sequence[SourceImage], already: list[SourceImage], fits: Fits
) -> str | None:
    if not matches:
        return None
    if reason := why_not_in_training(image, matches):
        return reason
    first = matches[0]
    if not fits(image, first):
        return "aspect_ratio_val" if first.split != TRAIN else None
    return "duplicate" if any(other.source == image.source for other in already) else None


def has_size(image: SourceImage) -> bool:
    """Whether width and height are listed."""
    return image.width > 0 and image.height > 0


def same_pixels(one: SourceImage, other: SourceImage) -> bool:
    """Whether two copies have the same pixels across and down: those of one file have, where no list says otherwise."""
    if one.path and one.path == other.path:
        return not are_other_pixels(one, other)
    return (one.width, one.height) == (other.width, other.height)


def are_other_pixels(one: SourceImage, other: SourceImage) -> bool:
    """Whether two listed sizes are those of an image turned by a quarter, or at another resolution."""
    if not (has_size(one) and has_size(other)) or are_close(one, other):
        return False
    return (one.width, one.height) == (other.height, other.width) or same_aspect_ratio(one, other)


def are_close(one: SourceImage, other: SourceImage) -> bool:
    """Whether rounding explains the difference of two sizes."""
    return abs(one.width - other.width) <= _ROUNDING and abs(one.height - other.height) <= _ROUNDING


def same_aspect_ratio(one: SourceImage, other: SourceImage) -> bool:
    """Whether two copies' width to height differ by at most 1 %, so that one can be the other resized."""
    first, second = one.width * other.height, other.width * one.height
    return abs(first - second) <= ASPECT_RATIO_TOLERANCE * max(first, second)


def _name(groups: list[tuple[SourceImage, ...]]) -> list[MergedImage]:
    """Name each group of copies.

    Custom annotation files often count from 1 in every split; there the name includes the split.
    """
    once: dict[str, set[int]] = {}
    several: set[tuple[str, int]] = set()
    for canonical, *_ in groups:
        seen = once.setdefault(canonical.source, set())
        if canonical.dataset_id in seen:
            several.add((canonical.source, canonical.dataset_id))
        seen.add(canonical.dataset_id)
    return [MergedImage(_key_prefix(copies[0], several), copies) for copies in groups]


def _key_prefix(canonical: SourceImage, several: set[tuple[str, int]]) -> str:
    if canonical.split == TRAIN or (canonical.source, canonical.dataset_id) not in several:
        return canonical.source
    return sys.intern(f"{canonical.source}-{canonical.split}")
