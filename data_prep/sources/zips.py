"""Annotation files as they are published: the JSON itself, or the zip that it comes in, unpacked once into scratch."""

import hashlib
import lzma
import posixpath
import re
import shutil
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from threading import Lock

from data_prep.storage.errors import DataError
from data_prep.storage.scratch import scratch_folder
from data_prep.storage.storage import create, exists, local_copy

_PIECE = 1 << 20
_COCO_FILE = re.compile(r"instances_(?:train|val)(?P<year>2014|2017)\.json")
_DAMAGED = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError, ValueError)
_NOT_FOR_US = (NotImplementedError, RuntimeError)  # an unknown compression, a password
_one_at_a_time = Lock()


def unpacked(uri: str) -> Path:
    """The file on this machine's disk; where it is missing and its zip is there, the zip's copy of it, made once.

    Raises DataError if neither is there, or if the zip is damaged or does not hold the file.
    """
    if exists(uri):
        return local_copy(uri)
    for archive in published_in(uri):
        if exists(archive):
            with _one_at_a_time:
                return _unpack(archive, posixpath.basename(uri))
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


def _unpack(archive: str, name: str) -> Path:
    packed = local_copy(archive).absolute()
    found = packed.stat()
    key = hashlib.sha256(f"{packed}\n{found.st_size}\n{found.st_mtime_ns}".encode()).hexdigest()[:24]
    target = scratch_folder() / "unpacked" / key / name
    if not target.exists():
        with create(target) as file:
            for piece in _pieces(archive, packed, name):
                file.write(piece)
    return target


def _pieces(archive: str, packed: Path, name: str) -> Iterator[bytes]:
    """The bytes of the file `name` in the zip, whose checksum is compared at the end."""
    try:
        with zipfile.ZipFile(packed) as opened:
            member = _member(archive, opened, name)
            _require_room(archive, member)
            with opened.open(member) as file:
                while piece := file.read(_PIECE):
                    yield piece
    except _DAMAGED as error:
        raise DataError(f"{archive}: damaged where it holds {name} ({error}); get the file again") from None
    except _NOT_FOR_US as error:
        raise DataError(f"{archive}: {name} in it cannot be unpacked ({error}); unpack it by hand") from None


def _member(archive: str, opened: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    """The one member of that name, in whatever folder; the path that it has in the zip is not used."""
    members = [member for member in opened.infolist() if posixpath.basename(member.filename) == name]
    if len(members) != 1:
        raise DataError(f"{archive}: holds {len(members)} files named {name}, one is needed; is it the right zip?")
    return members[0]


def _require_room(archive: str, member: zipfile.ZipInfo) -> None:
    folder = scratch_folder()
    free = shutil.disk_usage(folder).free
    if member.file_size > free:
        raise DataError(
            f"{archive}: {member.filename} needs {member.file_size} bytes below {folder}, {free} are free; "
            "let MASKX_SCRATCH name a folder with more room"
        )
