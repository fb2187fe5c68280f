"""Copies of annotation files that JSON parsers read, made once in the scratch folder and by what the file holds.

Compression (gzip, by its first bytes) and encodings (byte order marks, UTF-16, UTF-32) are seen at once. What Python
writes and JSON lacks is looked for only in a file that a strict parser refuses. In the copy, `NaN` and `Infinity` are
the strings "NaN", "Infinity" and "-Infinity", and the escape of half a surrogate pair, by which Python writes a byte
that was no text, is that of U+FFFD: so that only the field that holds one is judged.
"""

import codecs
import gzip
import hashlib
import heapq
import mmap
import re
import zlib
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

from data_prep.sources.broken_json import BrokenJsonError
from data_prep.storage.scratch import locked, require_room, scratch_folder, use
from data_prep.storage.storage import create

_PIECE = 1 << 20
_GZIP = b"\x1f\x8b"
# UTF-32's little-endian mark begins with UTF-16's. A JSON document begins with an ASCII character, marked or not.
_ENCODINGS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
    (b"{\x00", "utf-16-le"),
    (b"[\x00", "utf-16-le"),
    (b"\x00{", "utf-16-be"),
    (b"\x00[", "utf-16-be"),
)
# A string is one token, so that what stands in it is passed over.
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|-?Infinity|NaN', re.DOTALL)
# A whole pair is one token, and so is any other escape.
_ESCAPE = re.compile(rb"\\(?:u[dD][89abAB]\w{2}\\u[dD][c-fC-F]\w{2}|u[dD][89a-fA-F]\w{2}|.)", re.DOTALL)
_REPLACEMENT = rb"\ufffd"  # as long as what it replaces
_DAMAGED = (OSError, EOFError, zlib.error)

Pieces = Iterator[bytes]


def readable(uri: str, path: Path) -> Path:
    """The file at `path`, which is `uri`'s, or its copy in UTF-8 without a mark and without compression; where
    `quote_constants` made one, the copy of that which strict parsers read.

    Raises BrokenJsonError if it is damaged where it is compressed or encoded.
    """
    plain = unquoted(uri, path)
    quoted = scratch_copy("quoted", plain, plain.name)
    if not quoted.exists():
        return plain
    use(quoted.parent)
    return quoted


def unquoted(uri: str, path: Path) -> Path:
    """The same with constants and surrogates as the file writes them."""
    head = _head(path)
    if head.startswith(_GZIP):
        return unquoted(uri, _made("unpacked", path, path.name.removesuffix(".gz"), lambda: _gunzip(uri, path)))
    encoding = next((name for mark, name in _ENCODINGS if head.startswith(mark)), None)
    if encoding is None:
        return path
    return unquoted(uri, _made("encoded", path, path.name, lambda: _encode(uri, path, encoding)))


def quote_constants(path: Path) -> bool:
    """Make the copy in which `NaN` and `Infinity` are strings and no surrogate stands alone; False, and no copy, if
    the file has neither."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as buffer:
        if not any(True for _ in chain(constants(buffer), _lone_surrogates(buffer))):
            return False
        _made("quoted", path, path.name, lambda: _quoted(buffer))
    return True


def is_quoted(path: Path) -> bool:
    """Whether a path that `readable` returned is a copy that `quote_constants` made."""
    return path.parent.parent == scratch_folder() / "quoted"


def scratch_copy(what: str, path: Path, name: str) -> Path:
    """Where the copy of this very file (by path, size and modification time) is or will be."""
    state = path.stat()
    key = hashlib.sha256(f"{path.absolute()}\n{state.st_size}\n{state.st_mtime_ns}".encode()).hexdigest()[:24]
    return scratch_folder() / what / key / name


def _made(what: str, path: Path, name: str, pieces: Callable[[], Pieces]) -> Path:
    copy = scratch_copy(what, path, name)
    use(copy.parent)
    if not copy.exists():
        with locked(copy):
            if not copy.exists():
                require_room(str(path), path.stat().st_size)
                with create(copy) as file:
                    for piece in pieces():
                        file.write(piece)
    return copy


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(4)


def _gunzip(uri: str, path: Path) -> Pieces:
    try:
        with gzip.open(path) as file:
            while piece := file.read(_PIECE):
                yield piece
    except _DAMAGED as error:
        raise BrokenJsonError(f"{uri}: damaged where it is compressed by gzip ({error}); get the file again") from None


def _encode(uri: str, path: Path, encoding: str) -> Pieces:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                yield decoder.decode(piece).encode()
        yield decoder.decode(b"", final=True).encode()
    except UnicodeError as error:
        raise BrokenJsonError(f"{uri}: begins as {encoding} text and is not ({error}); save it as UTF-8") from None


def constants(buffer: mmap.mmap) -> Iterator[re.Match[bytes]]:
    """Where `NaN`, `Infinity` and `-Infinity` stand outside strings, in their order."""
    return (token for token in _TOKEN.finditer(buffer) if not token.group().startswith(b'"'))


def _lone_surrogates(buffer: mmap.mmap) -> Iterator[re.Match[bytes]]:
    """The escapes that are half of a surrogate pair, in their order."""
    return (escape for escape in _ESCAPE.finditer(buffer) if len(escape.group()) == len(_REPLACEMENT))


def _quoted(buffer: mmap.mmap) -> Pieces:
    copied = 0
    for token in heapq.merge(constants(buffer), _lone_surrogates(buffer), key=re.Match.start):
        yield buffer[copied : token.start()]
        yield _REPLACEMENT if token.group().startswith(b"\\") else b'"%s"' % token.group()
        copied = token.end()
    yield buffer[copied:]
