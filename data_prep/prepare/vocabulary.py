"""From counts to the ordered classes: COCO-format classes by category id, then the most frequent synsets by name."""

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import NamedTuple

from data_prep.format.vocabulary import SourceClass, Vocabulary, VocabularyClass
from data_prep.sources.categories import Category
from data_prep.storage.errors import ConfigError, DataError
from data_prep.storage.storage import read

COLUMNS = ["category_id", "name", "synset"]


class ClassCount(NamedTuple):
    """What a source has of a class: objects, those with a mask, and of these the ones in training."""

    objects: int
    masks: int
    training_masks: int


ClassCounts = Mapping[str, Mapping[str, ClassCount]]
"""Source → its class name → what it has of it."""


def read_synset_table(path: str | None) -> dict[str, str]:
    """COCO class name → synset, from a CSV file with columns category_id, name, synset; None: the one shipped.

    Raises ConfigError if the file is no such table, DataError if it is missing.
    """
    data = read(path) if path else files("data_prep.format").joinpath("coco_synsets.csv").read_bytes()
    try:
        rows = list(csv.DictReader(io.StringIO(data.decode("utf-8"), newline="")))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"--synsets {path}: not a CSV file in UTF-8 ({error})") from None
    table = {}
    for line, row in enumerate(rows, start=2):
        if list(row) != COLUMNS or not row["name"] or not row["synset"]:
            raise ConfigError(f"--synsets {path}: line {line} needs the columns {', '.join(COLUMNS)}, all filled in")
        table[row["name"]] = row["synset"]
    return table


def synsets_of(categories: Sequence[Category], table: Mapping[str, str]) -> dict[str, str]:
    """Class name → synset, for a COCO-format source: its file's, else the table's, else the first sense of its name.

    What is only guessed joins no two classes of one source: `plant` beside `potted plant` has its name for a synset.
    """
    synsets = {c.name: synset for c in reversed(categories) if (synset := c.synset or table.get(c.name))}
    for category in categories:
        if category.name not in synsets:
            first_sense = f"{category.name.replace(' ', '_')}.n.01"
            synsets[category.name] = category.name if first_sense in synsets.values() else first_sense
    return synsets


def most_frequent(synsets: Mapping[str, int], classes: int | None) -> list[str]:
    """The `classes` most frequent synsets (None: all), ties by name; raises DataError if there are fewer."""
    if classes is not None and classes > len(synsets):
        raise DataError(f"--classes {classes}: the sources name {len(synsets)} synsets; ask for at most that number")
    ranked = sorted(synsets, key=lambda synset: (-synsets[synset], synset))
    return ranked[:classes]


def build_vocabulary(
    coco_format: Mapping[str, tuple[Category, ...]],
    table: Mapping[str, str],
    synsets: Mapping[str, int],
    counts: ClassCounts,
    classes: int | None,
) -> Vocabulary:
    """The ordered classes of a dataset.

    `coco_format`: the classes of each COCO-format source, by category id; `synsets`: how many objects name each
    synset; `counts`: of what is in the shards. Raises DataError if `classes` is more than there are synsets.
    """
    listed = _Listed()
    for source, categories in coco_format.items():
        listed.add(source, categories, table)
    chosen = sorted(set(most_frequent(synsets, classes)) - listed.names.keys())
    displayed = listed.displayed | _display_names(chosen, set(listed.displayed.values()))
    genomes = sorted(counts.keys() - coco_format.keys())
    found = []
    for synset in [*listed.names, *chosen]:
        names = listed.names.get(synset, {}) | {source: [synset] for source in genomes if synset in counts[source]}
        sources = {
            source: _source_class(own, counts.get(source, {}), listed.own.get(source, {}))
            for source, own in names.items()
        }
        found.append(VocabularyClass(synset, displayed[synset], sources, listed.category_ids.get(synset)))
    return Vocabulary(tuple(found))


@dataclass
class _Listed:
    """The classes of COCO-format sources by synset, in order: each source's names, the name for people, a number; and
    by source the class of each name."""

    names: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    displayed: dict[str, str] = field(default_factory=dict)
    category_ids: dict[str, int] = field(default_factory=dict)
    own: dict[str, dict[str, Category]] = field(default_factory=dict)

    def add(self, source: str, categories: tuple[Category, ...], table: Mapping[str, str]) -> None:
        """Add a source's classes."""
        self.own[source] = {category.name: category for category in reversed(categories)}
        synsets = synsets_of(categories, table)
        for category in categories:
            synset = synsets[category.name]
            own = self.names.setdefault(synset, {}).setdefault(source, [])
            if category.name not in own:
                own.append(category.name)
            if synset not in self.displayed:
                taken = category.name in self.displayed.values()
                self.displayed[synset] = f"{category.name} ({synset})" if taken else category.name
        self._add_ids({synsets[c.name]: c.id for c in reversed(categories)})

    def _add_ids(self, found: dict[str, int]) -> None:
        """Add a source's ids by synset, unless one is another class's already: then the source lends none."""
        taken = {number: synset for synset, number in self.category_ids.items()}
        if all(taken.get(number, synset) == synset for synset, number in found.items()):
            self.category_ids = {**found, **self.category_ids}


def _source_class(names: list[str], counts: Mapping[str, ClassCount], own: Mapping[str, Category]) -> SourceClass:
    """What a source has of the class of these names; `own` are its classes by name, none of Visual Genome's."""
    found = [counts[name] for name in names if name in counts]
    listed = [own[name] for name in names if name in own]
    return SourceClass(
        names=tuple(names),
        objects=sum(count.objects for count in found),
        masks=sum(count.masks for count in found),
        ids=tuple([c.id for c in listed]),
        original_ids={c.name: c.original_id for c in listed if c.original_id is not None},
        supercategories={c.name: c.supercategory for c in listed if c.supercategory is not None},
        training_masks=sum(count.training_masks for count in found),
    )


def lemma(synset: str) -> str:
    """`potted_plant.n.01` → `potted plant`."""
    return (synset.rsplit(".", 2)[0] or synset).replace("_", " ")


def _display_names(synsets: list[str], taken: set[str]) -> dict[str, str]:
    """Synset → its lemma, with the synset in brackets where another class has that name."""
    frequency = Counter(map(lemma, synsets)) + Counter(taken)
    return {s: lemma(s) if frequency[lemma(s)] == 1 else f"{lemma(s)} ({s})" for s in synsets}
