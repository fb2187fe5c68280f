"""A zip in place of a source's folder: unpacked whole into the scratch folder, once."""

import calendar
import os
import zipfile
from pathlib import Path

from data_prep.sources.converted import scratch_copy
from data_prep.sources.zips import DAMAGED, NOT_FOR_US
from data_prep.storage.errors import DataError
from data_prep.storage.scratch import locked, require_room, use
from data_prep.storage.storage import create_folder, local_copy

END = ".zip"


def unpacked_folder(archive: str) -> str:
    """The folder on this machine's disk with all that the zip holds.

    Files have the times that the zip says, so that one unpacked again is the same to whoever compares versions. Raises
    DataError if the zip is damaged, or locked by a password.
    """
    packed = local_copy(archive).absolute()
    folder = scratch_copy("unpacked", packed, packed.name[: -len(END)] or "unpacked")
    use(folder.parent)
    with locked(folder):
        if not folder.exists():
            _unpack(archive, packed, folder)
    return str(folder)


def _unpack(archive: str, packed: Path, folder: Path) -> None:
    try:
        with zipfile.ZipFile(packed) as opened, create_folder(folder, "") as target:
            members = [m for m in opened.infolist() if not m.is_dir() and not m.filename.startswith("__MACOSX/")]
            require_room(archive, sum(member.file_size for member in members))
            for member in members:
                path = opened.extract(member, target)  # drops what leads out of the folder
                year, month, *rest = member.date_time
                seconds = calendar.timegm((year, min(max(month, 1), 12), *rest, 0, 0, 0))  # 0 where no date is set
                os.utime(path, (seconds, seconds))
    except NOT_FOR_US as error:
        raise DataError(f"{archive}: cannot be unpacked ({error}); unpack it by hand") from None
    except DAMAGED as error:
        raise DataError(f"{archive}: damaged ({error}); get the file again") from None
