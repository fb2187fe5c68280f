"""The toy world's classes: the appearance of each, its group of twelve, and whether it is rare."""

from dataclasses import dataclass
from functools import cache
from typing import Literal

Style = Literal["hues", "pairs"]

STYLES: tuple[Style, ...] = ("hues", "pairs")
GROUPS = 5
HUE_NAMES = (
    *("red", "orange", "yellow", "lime", "green", "mint"),
    *("cyan", "azure", "blue", "violet", "magenta", "rose"),
)
HUES = len(HUE_NAMES)  # 30 degrees apart, so hue number h is at h / 12 of the color circle
TEXTURES = ("solid", "striped", "dotted", "checked", "blotched")
RARE_TEXTURE = "ringed"

# The colors in an order in which "neighbors at distance 1 … 5 on the circle" gives five groups of twelve
# pairs that are alike: every color twice in each, and close, middling and opposite hues mixed evenly.
_PAIRING_ORDER = (10, 3, 4, 6, 7, 2, 0, 8, 11, 5, 9, 1)


@dataclass(frozen=True)
class ToyClass:
    """One class of the toy world.

    ``hues`` holds one hue number (0 … 11) or, in the style "pairs", two. ``texture`` is a name that
    `textures.paint` knows. ``group`` is 0 … 4, or None for a rare class, which has boxes but never masks.
    """

    name: str
    hues: tuple[int, ...]
    texture: str
    supercategory: str
    group: int | None

    @property
    def synset(self) -> str:
        """The class as Visual Genome writes it: `red striped` is `red_striped.n.01`."""
        return self.name.replace(" ", "_") + ".n.01"


def _hue_classes(group: int) -> list[ToyClass]:
    """A Latin square of hues and textures: each group has every hue once, no group a texture of its own."""
    textures = [TEXTURES[(group + hue) % GROUPS] for hue in range(HUES)]
    return [
        ToyClass(f"{HUE_NAMES[hue]} {texture}", (hue,), texture, texture, group) for hue, texture in enumerate(textures)
    ]


def _color_pair(first: int, second: int, supercategory: str, group: int | None) -> ToyClass:
    low, high = sorted((first, second))
    return ToyClass(f"{HUE_NAMES[low]} and {HUE_NAMES[high]}", (low, high), "coarse", supercategory, group)


def _pair_classes(group: int) -> list[ToyClass]:
    order = _PAIRING_ORDER
    partners = [(order[i], order[(i + group + 1) % HUES]) for i in range(HUES)]
    return sorted((_color_pair(a, b, "two-coloured", group) for a, b in partners), key=lambda member: member.hues)


@cache
def groups(style: Style) -> tuple[tuple[ToyClass, ...], ...]:
    """The five groups of twelve classes that COCO's file knows, statistically alike."""
    make = _hue_classes if style == "hues" else _pair_classes
    return tuple(tuple(make(group)) for group in range(GROUPS))


@cache
def common_classes(style: Style) -> tuple[ToyClass, ...]:
    """All 60 classes with masks, in the order of COCO's categories: by supercategory, then by hue."""
    members = (member for group in groups(style) for member in group)
    return tuple(sorted(members, key=lambda member: (member.supercategory, member.hues)))


@cache
def rare_classes(style: Style) -> tuple[ToyClass, ...]:
    """Twelve classes that only Visual Genome's file knows, the most frequent first (see `rare_weights`)."""
    if style == "hues":
        return tuple(
            ToyClass(f"{name} {RARE_TEXTURE}", (hue,), RARE_TEXTURE, RARE_TEXTURE, None)
            for hue, name in enumerate(HUE_NAMES)
        )
    order, half = _PAIRING_ORDER, HUES // 2
    pairs = [_color_pair(order[i], order[i + half], "two-coloured", None) for i in range(half)]
    singles = [ToyClass(f"only {HUE_NAMES[hue]}", (hue,), "solid", "one-coloured", None) for hue in order[:half]]
    return tuple(rare for couple in zip(pairs, singles, strict=True) for rare in couple)


def rare_weights(style: Style) -> list[float]:
    """Zipf's law over `rare_classes`: the k-th is drawn in proportion to 1 / k; sums to 1."""
    weights = [1 / rank for rank in range(1, len(rare_classes(style)) + 1)]
    return [weight / sum(weights) for weight in weights]


def class_groups(style: Style) -> list[list[str]]:
    """Names of the five groups of twelve classes; holding out group g as B leaves 48 classes for A."""
    return [[member.name for member in group] for group in groups(style)]
