"""What looks odd about sources as a whole, though all of it is used."""

import re
from collections.abc import Iterable, Mapping

from data_prep.plan.plan import Plan
from data_prep.shards.results import ShardSummary, read_contents
from data_prep.sources.categories import Category
from data_prep.sources.counts import Counts, Example

_NAMED = 5
_FILLING = re.compile(r"[\s_.-]+")


def note_classes(
    total: Counts, classes: Mapping[str, Iterable[Category]], counts: Mapping[str, Mapping[str, tuple[int, int]]]
) -> None:
    """Note classes without an object, and classes whose names differ in case, blanks or punctuation only."""
    for source, categories in classes.items():
        names = list(dict.fromkeys(category.name for category in categories))
        used = counts.get(source, {})
        _note(total, source, "class_without_objects", [name for name in names if name not in used])
        alike: dict[str, list[str]] = {}
        for name in names:
            alike.setdefault(_FILLING.sub("", name.casefold()), []).append(name)
        _note(total, source, "class_names_alike", [name for same in alike.values() if len(same) > 1 for name in same])


def note_objects(total: Counts, results: Iterable[ShardSummary]) -> None:
    """Note sources without an object, and those of which every object is a crowd."""
    crowds: dict[str, int] = {}
    for result in results:
        for source in total.images:
            crowds[source] = crowds.get(source, 0) + result.content.what.get(f"{source}_crowds", 0)
    for source in total.images:
        objects = total.included.get(source, 0)
        if not objects:
            total.note(source, "no_objects", Example("", -1, "photograph", -1, ""))
        elif crowds.get(source) == objects:
            total.note(source, "only_crowds", Example("", -1, "object", -1, f"{objects} objects, all with iscrowd=1"))


def note_same_images(total: Counts, plan: Plan, shards: int) -> None:
    """Note images whose files hold the bytes of another source's image, or of one of another split."""
    first: dict[str, tuple[str, str, str]] = {}
    for number in range(shards):
        split = plan.shards[number].split
        for key, source, digest in read_contents(plan, number):
            other_key, other_source, other_split = first.setdefault(digest, (key, source, split))
            reason = "same_image_other_source" if source != other_source else "same_image_other_split"
            if source != other_source or split != other_split:
                total.note(source, reason, Example("", -1, "photograph", -1, f"{key} is {other_key}"))


def _note(total: Counts, source: str, reason: str, names: list[str]) -> None:
    if names:
        more = ", …" if len(names) > _NAMED else ""
        seen = ", ".join(repr(name) for name in names[:_NAMED]) + more
        total.note(source, reason, Example("", -1, "photograph", -1, seen), len(names))
