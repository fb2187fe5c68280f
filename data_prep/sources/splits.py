"""What a file's or folder's name says of its split."""

import posixpath
import re

from data_prep.storage.errors import ConfigError
from data_prep.storage.storage import is_on_disk, local_path

_SPLITS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev", "minival"),
    "test": ("test", "testing"),
}
_FOLDER = re.compile(r"(train|val|valid|validation)(\d{4})?|(test)\d{4}", re.IGNORECASE)
_BY_WORD = {word: split for split, words in _SPLITS.items() for word in words}


def words_of(name: str) -> list[str]:
    """The words of a name, in lower case."""
    return re.findall(r"[a-z]+", name.lower())


def split_of(name: str) -> str | None:
    """`train`, `val` or `test`, if exactly one of them is a word of the name, by any of its usual names."""
    found = {_BY_WORD[word] for word in words_of(name) if word in _BY_WORD}
    return found.pop() if len(found) == 1 else None


def split_of_folder(path: str) -> str | None:
    """The split that a folder's whole name says, as `valid` and `test2017` do: `test` may be anything."""
    whole = posixpath.abspath(local_path(path)) if is_on_disk(path) else path.rstrip("/")
    match = _FOLDER.fullmatch(posixpath.basename(whole.removesuffix("/annotations")))
    return _BY_WORD[(match[1] or match[3]).lower()] if match else None


def training_split(source: str, annotations: str, images: str) -> str:
    """`train`, the split of a file of which none is given; raises ConfigError if its name says another, or else that of
    its folder or of its images' folder."""
    said = split_of(posixpath.basename(annotations))
    where = annotations
    for folder in (posixpath.dirname(annotations), images):
        if said is None:
            said, where = split_of_folder(folder), folder
    if said in (None, "train"):
        return "train"
    raise ConfigError(
        f"{where}: its name says {said}; write {source}@{said}=…, or {source}@train=… if it is meant for training"
    )


def other_names(word: str) -> tuple[str, ...]:
    """The usual names of the split that a word names; none if it names none."""
    return _SPLITS[_BY_WORD[word]] if word in _BY_WORD else ()
