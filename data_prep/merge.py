"""Which images of different sources are one photograph, and what stays out of training for that reason.

COCO-format images stand for themselves, but LVIS's join COCO's where it has them. A Visual Genome image joins the COCO
photograph that its `coco_id` names, else the COCO-format photograph with its Flickr photo id; the COCO-format file, its
size and its coordinates stand.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import msgspec

from data_prep.format.manifest import HeldOut, ToldBy
from data_prep.format.records import photograph_key
from data_prep.sources.images import SourceImage

COCO = "coco"
TRAIN = "train"
ASPECT_RATIO_TOLERANCE = 0.01


class Photograph(msgspec.Struct, frozen=True, gc=False):
    """One photograph: `images[0]` is the copy whose file and coordinates stand, the others lend their annotations."""

    key: str
    split: str
    images: tuple[SourceImage, ...]

    @property
    def part(self) -> str:
        """Its sources' names, sorted and joined with `+`."""
        return "+".join(sorted(image.source for image in self.images))


@dataclass
class Merged:
    """All photographs; images left out, each with its reason's code; how many images stayed unmerged, by source.

    `held_out` names the images whose ids tie them to a photograph held out of training.
    """

    photographs: list[Photograph] = field(default_factory=list)
    left_out: list[tuple[SourceImage, str]] = field(default_factory=list)
    unmerged: Counter[str] = field(default_factory=Counter)
    held_out: list[HeldOut] = field(default_factory=list)


@dataclass(frozen=True)
class _Standing:
    """The images that stand for a photograph, found by the ids that others name them by."""

    by_coco_id: dict[int, list[SourceImage]] = field(default_factory=dict)
    by_flickr_id: dict[int, list[SourceImage]] = field(default_factory=dict)

    def add(self, image: SourceImage, coco_id: int | None) -> None:
        """Let an image be found."""
        if coco_id is not None:
            self.by_coco_id.setdefault(coco_id, []).append(image)
        if image.flickr_id is not None:
            self.by_flickr_id.setdefault(image.flickr_id, []).append(image)

    def matches(self, image: SourceImage) -> list[SourceImage]:
        """The images that this one's ids name, the one to join first."""
        found = self.by_coco_id.get(image.coco_id, []) if image.coco_id is not None else []
        more = self.by_flickr_id.get(image.flickr_id, []) if image.flickr_id is not None else []
        return found + [match for match in more if match not in found]

    def told_by(self, image: SourceImage, match: SourceImage) -> ToldBy:
        """Which of the image's ids names the match."""
        named = self.by_coco_id.get(image.coco_id, []) if image.coco_id is not None else []
        return "coco_id" if match in named else "flickr_id"


Fits = Callable[[SourceImage, SourceImage], bool]
_Joined = dict[tuple[int, int], list[SourceImage]]


def merge(coco_format: list[SourceImage], others: Iterable[SourceImage]) -> Merged:
    """Unite images by photograph; `coco_format` comes in the order of the sources.

    COCO-format images that name COCO's by `coco_id` (LVIS's) join it if they are of its size, as masks cannot be
    scaled; where there is none they stand themselves. An image that any of its ids ties to a photograph held out of
    training never comes out in training.
    """
    merged, standing, joined = Merged(), _Standing(), _Joined()
    first = [image for image in coco_format if image.coco_id is None]
    for image in first:
        standing.add(image, image.id if image.source == COCO else None)
    naming = [image for image in coco_format if image.coco_id is not None]
    second = _join(naming, standing, same_size, joined, merged)
    for image in second:
        standing.add(image, image.coco_id)
    ordered = sorted(others, key=lambda image: image.identity)
    alone = _join(ordered, standing, same_aspect_ratio, joined, merged)
    together = [(image, *joined.get(image.identity, [])) for image in first + second] + [(image,) for image in alone]
    merged.photographs = _name(together)
    keys = {p.images[0].identity: p.key for p in merged.photographs if p.split != TRAIN}
    merged.held_out = list(_held_out([*naming, *ordered], standing, keys))
    return merged


def _join(
    images: list[SourceImage], standing: _Standing, fits: Fits, joined: _Joined, merged: Merged
) -> list[SourceImage]:
    """Let each image join the one that stands for its photograph, or leave it out; returns those that join none."""
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
    """The training images whose ids name a held-out photograph of another source; `keys` by the standing image."""
    for image in images:
        held_out = (m for m in standing.matches(image) if m.split != TRAIN and m.source != image.source)
        if image.split == TRAIN and (match := next(held_out, None)):
            yield HeldOut(image.source, image.id, standing.told_by(image, match), keys[match.identity])


def _why_left_out(image: SourceImage, matches: list[SourceImage], already: list[SourceImage], fits: Fits) -> str | None:
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
    """Give each photograph its key.

    Annotation files of one's own often count from 1 in every split; there the key names the split as well.
    """
    keys = [photograph_key(images[0].source, images[0].id) for images in together]
    counts = Counter(keys)
    photographs = []
    for key, images in zip(keys, together, strict=True):
        standing = images[0]
        if counts[key] > 1 and standing.split != TRAIN:
            named = photograph_key(f"{standing.source}-{standing.split}", standing.id)
            photographs.append(Photograph(named, standing.split, images))
        else:
            photographs.append(Photograph(key, standing.split, images))
    return photographs
