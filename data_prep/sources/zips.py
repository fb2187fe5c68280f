"""Annotation files as they are published: the JSON itself, or the zip that it comes in, unpacked once into scratch."""

import lzma
import posixpath
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from threading import Lock

from data_prep.sources.converted import readable, scratch_copy, unquoted
from data_prep.storage.errors import DataError
from data_prep.storage.scratch import require_room, use
from data_prep.storage.storage import create, exists, info, is_folder, local_copy

_PIECE = 1 << 20
_COCO_FILE = re.compile(r"instances_(?:train|val)(?P<year>2014|2017)\.json")
DAMAGED = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError, ValueError)
NOT_FOR_US = (NotImplementedError, RuntimeError)  # an unknown compression, a password
_one_at_a_time = Lock()
_SHOWN = 5
_FOLDER = (
    "annotations of all images stand in one COCO-format file. A folder with a file for each image is another format: "
    "convert it to COCO; if the folder is an export with its images, write NAME=coco:FOLDER"
)


def unpacked(uri: str) -> Path:
    """The file on this machine's disk, as a JSON parser reads it (`converted.py`).

    Where it is missing and its zip is there, it is the zip's copy of it, made once; where it is a zip itself, the one
    JSON file that the zip holds. Raises DataError if there is neither, or if the zip is damaged or does not hold the
    file, or several.
    """
    with _one_at_a_time:
        return readable(uri, _found(uri))


def unpacked_unquoted(uri: str) -> Path:
    """The same with `NaN`, `Infinity` and lone surrogates as the file writes them, which no strict parser reads."""
    with _one_at_a_time:
        return unquoted(uri, _found(uri))


def _found(uri: str) -> Path:
    if info(uri):
        path = local_copy(uri)
        return _unpack(uri, None) if _is_zip(path) else path
    for archive in published_in(uri):
        if exists(archive):
            return _unpack(archive, posixpath.basename(uri))
    if is_folder(uri):
        raise DataError(f"{uri}: is a folder, where a file is needed; {_FOLDER}")
    raise DataError(f"{uri}: no such file")


def published_in(uri: str) -> Iterator[str]:
    """The zips in which a file of this name is published, wherever users put them.

    Any file in one that is named after it; COCO's in `annotations_trainval2017.zip` (or 2014), in the folder of the
    annotations or the one above; Visual Genome's `objects.json` also in `objects_v1_2.json.zip`, `objects_v1.json.zip`.
    """
    folder, name = posixpath.split(uri)
    yield f"{uri}.zip"
    if match := _COCO_FILE.fullmatch(name):
        for parent in (posixpath.dirname(folder), folder):
            yield posixpath.join(parent, f"annotations_trainval{match['year']}.zip")
    if name == "objects.json":
        yield from (posixpath.join(folder, f"objects_{version}.json.zip") for version in ("v1_2", "v1"))


def _is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


def _unpack(archive: str, name: str | None) -> Path:
    """The archive's file of that name, or its only JSON file."""
    packed = local_copy(archive).absolute()
    target = scratch_copy("unpacked", packed, name or "annotations.json")
    use(target.parent)
    if not target.exists():
        with create(target) as file:
            for piece in _pieces(archive, packed, name):
                file.write(piece)
    return target


def _pieces(archive: str, packed: Path, name: str | None) -> Iterator[bytes]:
    """The bytes of the file `name` in the zip, or of its only JSON file; the checksum is compared at the end."""
    try:
        with zipfile.ZipFile(packed) as opened:
            member = _only_json(archive, opened) if name is None else _member(archive, opened, name)
            require_room(f"{archive}: {member.filename}", member.file_size)
            with opened.open(member) as file:
                while piece := file.read(_PIECE):
                    yield piece
    except DAMAGED as error:
        raise DataError(f"{archive}: damaged where it holds {name or 'a file'} ({error}); get the file again") from None
    except NOT_FOR_US as error:
        raise DataError(
            f"{archive}: {name or 'a file'} in it cannot be unpacked ({error}); unpack it by hand"
        ) from None


def _member(archive: str, opened: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    """The one member of that name, in whatever folder; the path that it has in the zip is not used."""
    members = [member for member in opened.infolist() if posixpath.basename(member.filename) == name]
    if len(members) != 1:
        raise DataError(f"{archive}: holds {len(members)} files named {name}, one is needed; is it the right zip?")
    return members[0]


def _only_json(archive: str, opened: zipfile.ZipFile) -> zipfile.ZipInfo:
    members = [m for m in opened.infolist() if m.filename.endswith(".json") and not m.filename.startswith("__MACOSX/")]
    if len(members) != 1:
        names = ", ".join(sorted(m.filename for m in members)[:_SHOWN]) + (", …" if len(members) > _SHOWN else "")
        holds = f"holds {len(members)} JSON files ({names})" if members else "holds no JSON file"
        raise DataError(f"{archive}: a zip that {holds}; unpack it, and name one COCO-format file and its image folder")
    return members[0]
