"""The ordered classes of a dataset: which concept of which source is which label.

COCO-format classes come first, by category id, then the rest by synset. A class is identified by its synset; each
source calls it by names of its own.
"""

import hashlib
from collections.abc import Iterable
from functools import cached_property

import msgspec

from data_prep.storage.errors import JSON_ERRORS, DataError
from data_prep.storage.storage import read, write


class SourceClass(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one source has of a class: its own names for it, how many objects and masks (all splits), and the category
    id of each name in its files; none of Visual Genome, nor in datasets of format 1.2 and before.

    By name: `original_ids`, the ids in its files where those had to be mapped, and `supercategories`, both as far as
    its files have them, and not in datasets of format 1.3 and before. `training_masks`: how many of the masks,
    those of crowds aside, are in training; None in datasets of format 1.4 and before, which do not tell them apart."""

    names: tuple[str, ...]
    objects: int
    masks: int = 0
    ids: tuple[int, ...] = ()
    original_ids: dict[str, str] = {}
    supercategories: dict[str, str] = {}
    training_masks: int | None = None

    @property
    def masks_to_train_on(self) -> int:
        """How many masks a training finds: those in training, or all where the dataset does not tell them apart."""
        return self.masks if self.training_masks is None else self.training_masks


class VocabularyClass(msgspec.Struct, frozen=True, omit_defaults=True):
    """One class: `synset` identifies it, `name` is unique and for people, `category_id` is its number in the first
    COCO-format source that has it and whose numbers clash with no other's."""

    synset: str
    name: str
    sources: dict[str, SourceClass]
    category_id: int | None = None

    @property
    def objects(self) -> int:
        """Objects of all sources and splits together."""
        return sum(own.objects for own in self.sources.values())

    @property
    def masks_to_train_on(self) -> int:
        """How many masks of all sources together a training finds."""
        return sum(own.masks_to_train_on for own in self.sources.values())


class Vocabulary(msgspec.Struct, frozen=True, dict=True):
    """The classes in order. Class `i` has label `i + 1` in the model; label 0 is background."""

    classes: tuple[VocabularyClass, ...]

    def __len__(self) -> int:
        return len(self.classes)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Display names in order."""
        return tuple(c.name for c in self.classes)

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the ordered synsets: two vocabularies with equal hashes give every class the same label."""
        return hashlib.sha256("\n".join(c.synset for c in self.classes).encode()).hexdigest()

    def index(self, source: str) -> dict[str, int]:
        """From the source's own class names to positions in this vocabulary (0-based)."""
        return {
            name: position
            for position, c in enumerate(self.classes)
            if source in c.sources
            for name in c.sources[source].names
        }

    def find(self, name: str) -> int | None:
        """The position of a class by display name, synset, or any source's name; None if there is none."""
        return self._lookup.get(name)

    @cached_property
    def _lookup(self) -> dict[str, int]:
        lookup: dict[str, int] = {}
        for spellings in (_display_name, _synset, _source_names):
            for position, c in enumerate(self.classes):
                for name in spellings(c):
                    lookup.setdefault(name, position)
        return lookup


def _display_name(c: VocabularyClass) -> Iterable[str]:
    return (c.name,)


def _synset(c: VocabularyClass) -> Iterable[str]:
    return (c.synset,)


def _source_names(c: VocabularyClass) -> Iterable[str]:
    return (name for source in c.sources.values() for name in source.names)


def write_vocabulary(uri: str, vocabulary: Vocabulary) -> None:
    """Write `vocabulary.json` with its own hash."""
    document = {"hash": vocabulary.hash, "classes": vocabulary.classes}
    write(uri, msgspec.json.format(msgspec.json.encode(document, order="deterministic"), indent=1) + b"\n")


def read_vocabulary(uri: str) -> Vocabulary:
    """Read `vocabulary.json`; raises DataError if it is missing, damaged, or changed by hand without its hash."""
    try:
        document = msgspec.json.decode(read(uri), type=_Document)
    except JSON_ERRORS as error:
        raise DataError(f"{uri}: not a vocabulary ({error})") from None
    vocabulary = Vocabulary(document.classes)
    if vocabulary.hash != document.hash:
        raise DataError(f"{uri}: the hash does not fit the classes; it was changed by hand or damaged")
    return vocabulary


class _Document(msgspec.Struct):
    hash: str
    classes: tuple[VocabularyClass, ...]
