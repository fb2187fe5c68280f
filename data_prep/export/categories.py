"""A source's classes as categories of a COCO-format file, with the ids of its own files where the dataset has them."""

import difflib
from collections.abc import Iterable
from typing import NamedTuple

from data_prep.format.manifest import Source
from data_prep.format.reader import Dataset
from data_prep.format.vocabulary import Vocabulary, VocabularyClass
from data_prep.sources.categories import Category
from data_prep.storage.errors import ConfigError


class _Named(NamedTuple):
    """A class's name in the source, and as far as they are known its synset, its id in the source's files, the original
    one where that had to be mapped, and its supercategory."""

    name: str
    synset: str | None
    id: int | None
    original_id: str | None = None
    supercategory: str | None = None


def categories(dataset: Dataset, source: Source, found: Iterable[str]) -> tuple[Category, ...]:
    """All classes of a source, by id: those of the vocabulary, and those outside it among the names `found` in objects.

    Ids are those of the source's files; where the dataset does not know one, the numbers above are given, from 1 where
    it knows none.
    """
    numbered = [each.name for each in dataset.manifest.sources if each.kind != "vg"]
    alone = numbered == [source.name]
    own = [c for c in dataset.vocabulary.classes if source.name in c.sources]
    named = [each for c in own for each in _names(c, source.name, alone)]
    known = {each.name for each in named}
    named += [_Named(name, name if source.kind == "vg" else None, None) for name in sorted(set(found) - known)]
    ids = [each.id for each in named if each.id is not None]
    if len(set(ids)) < len(ids):
        named, ids = [each._replace(id=None, original_id=None) for each in named], []
    free = iter(range(max(ids, default=0) + 1, max(ids, default=0) + 1 + len(named)))
    listed = [
        Category(
            next(free) if each.id is None else each.id, each.name, each.synset, each.supercategory, each.original_id
        )
        for each in named
    ]
    return tuple(sorted(listed, key=lambda category: category.id))


def _names(c: VocabularyClass, source: str, alone: bool) -> list[_Named]:
    """The source's names of a class; a dataset of format 1.2 or before knows one id of it, and not whose."""
    own = c.sources[source]
    ids: tuple[int | None, ...] = own.ids
    if len(ids) != len(own.names):
        ids = (c.category_id if alone else None,) + (None,) * (len(own.names) - 1)
    return [
        _Named(name, c.synset, number, own.original_ids.get(name), own.supercategories.get(name))
        for name, number in zip(own.names, ids, strict=True)
    ]


def choose(all_of: tuple[Category, ...], wanted: tuple[str, ...], vocabulary: Vocabulary) -> tuple[Category, ...]:
    """The categories of these names: the source's own, or those by which the vocabulary knows the class.

    Raises ConfigError, with the nearest names, if there is no such class.
    """
    chosen: set[int] = set()
    for name in wanted:
        position = vocabulary.find(name)
        synset = None if position is None else vocabulary.classes[position].synset
        found = {c.id for c in all_of if c.name == name} or {c.id for c in all_of if synset and c.synset == synset}
        if not found:
            near = difflib.get_close_matches(name, [c.name for c in all_of])
            hint = f"do you mean {' or '.join(near)}?" if near else "`maskx data show` lists the classes"
            raise ConfigError(f"--classes {name}: the source has no such class; {hint}")
        chosen |= found
    return tuple([category for category in all_of if category.id in chosen])
