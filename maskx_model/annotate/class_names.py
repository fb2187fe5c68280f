"""Which class of a model another file's class name means."""

from collections.abc import Callable

from data_prep.format.vocabulary import Vocabulary

Find = Callable[[str, str | None], int | None]
"""A class's name, and its synset where the file has one → its position in the model's vocabulary, or None."""


def class_finder(vocabulary: Vocabulary) -> Find:
    """Finds by synset, then by name (`Vocabulary.find`), then by name whatever its case, underscores and spaces, where
    that means one class only."""
    loose: dict[str, set[int]] = {}
    for position, c in enumerate(vocabulary.classes):
        for name in (c.name, *(name for own in c.sources.values() for name in own.names)):
            loose.setdefault(_plain(name), set()).add(position)

    def find(name: str, synset: str | None) -> int | None:
        exact = (vocabulary.find(word) for word in (synset, name) if word)
        found = next((position for position in exact if position is not None), None)
        alike = loose.get(_plain(name), set())
        return next(iter(alike)) if found is None and len(alike) == 1 else found

    return find


def _plain(name: str) -> str:
    return " ".join(name.replace("_", " ").casefold().split())
