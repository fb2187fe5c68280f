"""What looks odd about sources as a whole, though all of it is used."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from data_prep.plan.plan import Plan
from data_prep.prepare.vocabulary import ClassCounts, synsets_of
from data_prep.shards.results import ShardSummary, read_contents
from data_prep.sources.categories import Category
from data_prep.sources.counts import Counts, Example, increase

_NAMED = 5
# Of the objects; 1 % of COCO's are crowds.
_MANY_CROWDS = 0.1
_FILLING = re.compile(r"[\s_.-]+")


class _ClassName(NamedTuple):
    """A source's name of a class, and its synset, by which sources share a class."""

    source: str
    name: str
    synset: str


def note_classes(
    total: Counts, classes: Mapping[str, Sequence[Category]], table: Mapping[str, str], counts: ClassCounts
) -> None:
    """Note classes without an object, and classes whose names differ in case, blanks or punctuation only; `table`:
    COCO class name → synset."""
    alike: dict[str, list[_ClassName]] = {}
    for source, categories in classes.items():
        synsets = synsets_of(categories, table)
        for name in dict.fromkeys(category.name for category in categories):
            alike.setdefault(_FILLING.sub("", name.casefold()), []).append(_ClassName(source, name, synsets[name]))
    for source, categories in classes.items():
        names = dict.fromkeys(category.name for category in categories)
        used = counts.get(source, {})
        _note(total, source, "class_without_objects", [repr(name) for name in names if name not in used])
        found = [(named, same) for same in alike.values() for named in same if named.source == source]
        _note(total, source, "class_names_alike", [text for each in found if (text := _describe_alike(*each))])


def _describe_alike(named: _ClassName, alike: list[_ClassName]) -> str | None:
    """The name, with those of other sources that do not share its class; None if it is like no other."""
    others = [other for other in alike if other.name != named.name]
    elsewhere = [other for other in others if other.source != named.source and other.synset != named.synset]
    if elsewhere:
        return f"{named.name!r} ({', '.join(f'{other.name!r} in {other.source}' for other in elsewhere)})"
    return repr(named.name) if any(other.source == named.source for other in others) else None


def note_objects(total: Counts, results: Sequence[ShardSummary], counts: ClassCounts) -> None:
    """Note sources without an object; those of which every object or many are crowds, and such classes."""
    for source in total.images:
        objects = total.included.get(source, 0)
        crowds: dict[str, int] = {}
        for result in results:
            for name, number in result.content.crowds.get(source, {}).items():
                increase(crowds, name, number)
        found = sum(crowds.values())
        if not objects:
            total.note(source, "no_objects", Example("", -1, "photograph", -1, ""))
        elif found == objects:
            total.note(source, "only_crowds", Example("", -1, "object", -1, f"{objects} objects, all with iscrowd=1"))
        else:
            if found > _MANY_CROWDS * objects:
                seen = f"{found} of {objects} objects with iscrowd=1"
                total.note(source, "many_crowds", Example("", -1, "object", -1, seen), found)
            nothing_else = [repr(name) for name, number in crowds.items() if number == counts[source][name].objects]
            _note(total, source, "crowd_classes", nothing_else)


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
        seen = ", ".join(names[:_NAMED]) + more
        total.note(source, reason, Example("", -1, "photograph", -1, seen), len(names))
