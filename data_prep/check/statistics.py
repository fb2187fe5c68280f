"""What a source's images and objects are like, as far as it helps to see that something is odd."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from data_prep.prepare.vocabulary import ClassCount, ClassCounts
from data_prep.shards.results import ShardSummary
from data_prep.sources.images import SourceImage

FEW_OBJECTS = 10


@dataclass(frozen=True)
class SourceStatistics:
    """`sizes`: the smallest, median and largest (width, height) by pixels, of the images whose size is listed.

    `images`: how many images are used; `empty`: how many of them have no object; `objects`: the median and largest
    number of objects in an image; `classes`: how many classes have objects; `rare`: those with fewer than 10, with
    their numbers.
    """

    sizes: tuple[tuple[int, int], ...]
    images: int
    empty: int
    objects: tuple[int, int]
    classes: int
    rare: dict[str, int]


def source_statistics(
    images: Iterable[SourceImage],
    results: Iterable[ShardSummary],
    classes: ClassCounts,
) -> dict[str, SourceStatistics]:
    """Describe every source; `classes`: what it has of each."""
    sizes: dict[str, list[tuple[int, int]]] = {}
    for image in images:
        listed = sizes.setdefault(image.source, [])
        if image.width and image.height:
            listed.append((image.width, image.height))
    per_image: dict[str, Counter[int]] = {}
    for result in results:
        for source, found in result.content.per_image.items():
            per_image.setdefault(source, Counter()).update(found)
    return {
        source: _describe(listed, per_image.get(source, Counter()), classes.get(source, {}))
        for source, listed in sizes.items()
    }


def _describe(
    sizes: list[tuple[int, int]], per_image: Counter[int], classes: Mapping[str, ClassCount]
) -> SourceStatistics:
    ranked = sorted(sizes, key=lambda size: (size[0] * size[1], size))
    numbers = sorted(per_image.elements())
    objects = {name: count.objects for name, count in classes.items() if count.objects}
    return SourceStatistics(
        sizes=(ranked[0], ranked[len(ranked) // 2], ranked[-1]) if ranked else (),
        images=len(numbers),
        empty=per_image[0],
        objects=(numbers[len(numbers) // 2], numbers[-1]) if numbers else (0, 0),
        classes=len(objects),
        rare=dict(sorted(((name, n) for name, n in objects.items() if n < FEW_OBJECTS), key=lambda item: item[::-1])),
    )
