"""What a file's or folder's name says of its split."""

import posixpath
import re

from data_prep.storage.errors import ConfigError

_SPLITS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
_BY_WORD = {word: split for split, words in _SPLITS.items() for word in words}


def words_of(name: str) -> list[str]:
    """The words of a name, in lower case."""
    return re.findall(r"[a-z]+", name.lower())


def split_of(name: str) -> str | None:
    """`train`, `val` or `test`, if exactly one of them is a word of the name, by any of its usual names."""
    found = {_BY_WORD[word] for word in words_of(name) if word in _BY_WORD}
    return found.pop() if len(found) == 1 else None


def training_split(source: str, annotations: str) -> str:
    """`train`, the split of a file of which none is given; raises ConfigError if its name says another."""
    said = split_of(posixpath.basename(annotations))
    if said in (None, "train"):
        return "train"
    raise ConfigError(
        f"{annotations}: its name says {said}; write {source}@{said}=…, or {source}@train=… if it is meant for training"
    )


def other_names(word: str) -> tuple[str, ...]:
    """The usual names of the split that a word names; none if it names none."""
    return _SPLITS[_BY_WORD[word]] if word in _BY_WORD else ()
