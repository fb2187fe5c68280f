"""A class's word vector, from a file in GloVe's or word2vec's text format: T's input `embedding` (Table 1a).

Each line is a name and its numbers, all separated by spaces: `fire_hydrant 0.1 -0.2 …`. A first line of two whole
numbers is word2vec's count and width. In a name, an underscore means a space; names of several words may also be
written with spaces, except on the first line of a file without a header. Of two lines with one name the first counts.
"""

import re
from codecs import BOM_UTF8
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from data_prep.format.vocabulary import Vocabulary, VocabularyClass
from data_prep.storage.errors import ConfigError, DataError
from data_prep.storage.storage import info, local_copy

SENSE = re.compile(r"\.[a-z]\.\d+$")
"""The end of a synset: `bag.n.06`."""
REMARK = re.compile(r" \([^()]*\)$")
"""What makes a display name unique: `bag (bag.n.06)`."""
BETWEEN_WORDS = re.compile(r"[\s/-]+")
DECIMAL = re.compile(rb"[-+]?\d*\.\d+(e[-+]?\d+)?", re.IGNORECASE)
NAMED_IN_ERRORS = 5


def vector_width(uri: str) -> int:
    """How many numbers a vector of the file has; reads its first lines only. Raises as `class_vectors` does."""
    for _, _, numbers in _rows(uri):
        return numbers.count(b" ") + 1
    raise DataError(f"{uri}: holds no vectors")


def class_vectors(uri: str, vocabulary: Vocabulary) -> npt.NDArray[np.float32]:
    """The vector of every label, float32 [K + 1, E]; background's row is zeros, as the authors have it.

    A class is looked up by its synset's lemma, its display name, and its sources' names for it, in this order, each as
    it is and in lower case. Where the file has none of them, the vectors of the words of the first name whose words
    are all there are averaged. Only the vectors of these names are held in memory. Raises ConfigError if the file is
    missing or lacks a class, DataError for a line that cannot be read.
    """
    phrases = [_phrases(c) for c in vocabulary.classes]
    wanted = {name for own in phrases for phrase in own for name in (phrase, *_words(phrase))}
    found = _find(uri, wanted)
    vectors = [_vector(own, found) for own in phrases]
    missing = [c.name for c, vector in zip(vocabulary.classes, vectors, strict=True) if vector is None]
    if missing:
        more = ", …" if len(missing) > NAMED_IN_ERRORS else ""
        raise ConfigError(
            f"{uri}: no vector for {len(missing)} of the {len(vocabulary)} classes "
            f"({', '.join(missing[:NAMED_IN_ERRORS])}{more}); append a line `name number number …` for each of them, "
            "or take a file with more words"
        )
    known = [vector for vector in vectors if vector is not None]
    return np.stack([np.zeros_like(known[0]), *known])


def _phrases(c: VocabularyClass) -> list[str]:
    names = [SENSE.sub("", c.synset), REMARK.sub("", c.name)]
    names += [SENSE.sub("", name) for source in c.sources.values() for name in source.names]
    spaced = [name.replace("_", " ") for name in names]
    return list(dict.fromkeys(spelling for name in spaced for spelling in (name, name.lower())))


def _words(phrase: str) -> list[str]:
    return BETWEEN_WORDS.split(phrase)


def _vector(phrases: list[str], found: dict[str, npt.NDArray[np.float32]]) -> npt.NDArray[np.float32] | None:
    for phrase in phrases:
        if phrase in found:
            return found[phrase]
    for words in map(_words, phrases):
        if all(word in found for word in words):
            mean: npt.NDArray[np.float32] = np.mean([found[word] for word in words], axis=0, dtype=np.float32)
            return mean
    return None


def _find(uri: str, wanted: set[str]) -> dict[str, npt.NDArray[np.float32]]:
    by_bytes = {name.encode(): name for name in wanted}
    found: dict[str, npt.NDArray[np.float32]] = {}
    for number, row_name, numbers in _rows(uri):
        name = by_bytes.get(row_name)
        if name is not None and name not in found:
            found[name] = _numbers(f"{uri}, line {number} ({name})", numbers)
    return found


def _numbers(where: str, numbers: bytes) -> npt.NDArray[np.float32]:
    try:
        with np.errstate(over="ignore"):
            vector = np.array([float(number) for number in numbers.split(b" ")]).astype(np.float32)
    except ValueError as error:
        raise DataError(f"{where}: not a vector of numbers ({error})") from None
    if not np.isfinite(vector).all():
        raise DataError(f"{where}: holds a number that is not finite in float32")
    return vector


def _rows(uri: str) -> Iterator[tuple[int, bytes, bytes]]:
    """Line number, name with spaces for underscores, and the numbers of each row."""
    if info(uri) is None:
        raise ConfigError(f"{uri}: no such file of word vectors")
    width = 0
    with local_copy(uri).open("rb") as file:
        file.seek(len(BOM_UTF8) if file.read(len(BOM_UTF8)) == BOM_UTF8 else 0)
        for number, line in enumerate(map(bytes.strip, file), start=1):
            if number == 1 and (header := re.fullmatch(rb"\d+ (\d+)", line)):
                width = int(header[1])
                continue
            width = width or line.count(b" ")
            if line:
                yield number, *_split(f"{uri}, line {number}", line, width)


def _split(where: str, line: bytes, width: int) -> tuple[bytes, bytes]:
    words_of_name = line.count(b" ") - width + 1
    *name, numbers = line.split(b" ", max(words_of_name, 0))
    if words_of_name < 1 or width < 1 or (words_of_name > 1 and DECIMAL.fullmatch(name[-1])):
        raise DataError(
            f"{where}: not a name with {max(width, 1)} numbers behind it, separated by single spaces, as the "
            "first line of the file has it"
        )
    return b" ".join(name).replace(b"_", b" "), numbers
