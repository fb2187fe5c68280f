"""The files below a folder that a person keeps, with its hidden files and its links to other folders."""

import os
import posixpath

from data_prep.storage.disk_names import local_path


def visible_files(folder: str, without: str) -> tuple[list[str], list[str]]:
    """The paths, relative to the folder and sorted, of the files below it that are not hidden, and of the folders that
    cannot be read.

    Links to folders are followed, but for those to a folder that they are in. `without`: a folder that is left out.
    """
    root = str(local_path(folder))
    above = {root: frozenset({os.path.realpath(root)})}
    left_out = os.path.realpath(without)
    files: list[str] = []
    unreadable: list[str] = []
    for path, folders, names in os.walk(root, followlinks=True, onerror=lambda e: unreadable.append(str(e.filename))):
        way = above.pop(path)
        inside = {name: os.path.realpath(posixpath.join(path, name)) for name in folders if not name.startswith(".")}
        folders[:] = [name for name, real in inside.items() if real not in way and real != left_out]
        above |= {posixpath.join(path, name): way | {inside[name]} for name in folders}
        files += [posixpath.join(path, name) for name in names if not name.startswith(".")]
    return _relative(files, root), _relative(unreadable, root)


def _relative(paths: list[str], root: str) -> list[str]:
    return sorted(path.removeprefix(root).lstrip("/") for path in paths)
