"""Find the file of a listed name: as written, else by a ladder of rules that cannot name another image's file.

A rule is a step of the ladder and a reason in `REPAIRED`. The first steps only rewrite the name; the later ones compare
it with a listing of the folder, which is made once and only if a name needs it.
"""

import posixpath
import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import cache, cached_property
from typing import NamedTuple
from urllib.parse import unquote

from data_prep.storage.backend import FileInfo, Finder
from data_prep.storage.storage import is_on_disk, local_path

Finders = Callable[[str], Finder]
"""Folder → what finds files in it (`storage.finder`)."""

_LONGEST = 4096  # characters of a path, on any system
_QUERY = re.compile(r"(?<=\w)[?#][^/]*$")
# Each rewrites a name; several may apply to one.
_REWRITES: tuple[tuple[str, Callable[[str], tuple[str, ...]]], ...] = (
    ("file_name_blanks", lambda name: (name.strip(),)),
    ("file_name_query", lambda name: (_QUERY.sub("", name),)),
    ("file_name_percent", lambda name: (unquote(name),)),
    ("file_name_backslash", lambda name: (name.replace("\\", "/"),)),
    ("file_name_unicode", lambda name: tuple(unicodedata.normalize(form, name) for form in ("NFC", "NFD"))),
)
GUESSED = frozenset({"file_name_query", "file_name_case", "file_name_folder", "file_name_base"})
"""Rules that drop a part of the name: they hold only while no other name of the source leads to the same file, but for
those that differ in case alone."""


class FoundFile(NamedTuple):
    """A file at `folder`/`name`, and the rules by which a listed name leads to it: none if it is as written."""

    folder: str
    name: str
    info: FileInfo
    rules: tuple[str, ...]

    @property
    def path(self) -> str:
        """Its path or URI."""
        return f"{self.folder}/{self.name}"


def is_url(name: str) -> bool:
    """Whether a name is a URL, which is not read: any scheme but `file://`."""
    scheme, separator, _ = name.partition("://")
    return bool(separator) and scheme.isalnum() and scheme.lower() != "file"


def name_in_url(coco_url: str) -> str:
    """COCO's folder and file, by which LVIS means an image: the end of its `coco_url`."""
    return "/".join(coco_url.split("/")[-2:])


def below(folder: str, name: str) -> str | None:
    """The name as a path below the folder, without `.` and `..`; None if it is empty, absolute, or leads out of it."""
    if not name or name.startswith("/") or "\0" in name:
        return None
    root = folder.split("/")
    parts = list(root)
    for part in name.split("/"):
        if part == ".." and not parts:
            return None
        if part == "..":
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts[len(root) :]) if parts[: len(root)] == root and len(parts) > len(root) else None


class ImageFolder:
    """A folder of images, in which files are found by their listed names; each file is looked at once."""

    def __init__(self, folder: str, finders: Finders) -> None:
        self.folder = folder
        self._finders = finders
        self._own = finders(folder)
        self._look_up = cache(self._own)

    def as_written(self, name: str) -> FoundFile | None:
        """The file of exactly this name, but for `./` and doubled slashes; None if there is none, or if the name leads
        out of the folder."""
        if not name or "/" in (name[0], name[-1]) or "\0" in name or "://" in name:
            return None
        if ".." in name and ".." in name.split("/"):
            return None
        plain = below(self.folder, name) if "./" in name or "//" in name else name
        info = self._look_up(plain) if plain else None
        return FoundFile(self.folder, plain, info, ()) if plain and info else None

    def find(self, name: str) -> FoundFile | None:
        """The file that the first rule finds; None if none does. A URL, and a name that leads out, have no file."""
        if is_url(name) or len(name) > _LONGEST:
            return None
        forms = _forms(name.removeprefix("file://"))
        for step in (self._rewritten, self._listed):
            if found := next(filter(None, step(forms)), None):
                return found
        return None

    def _look(self, name: str, rules: tuple[str, ...]) -> FoundFile | None:
        info = self._look_up(name)
        return info and FoundFile(self.folder, name, info, rules)

    def _absolute(self, form: str, rules: tuple[str, ...]) -> FoundFile | None:
        """The file of an absolute path on disk; below this folder it has its name there."""
        path, rules = posixpath.normpath(f"/{form.lstrip('/')}"), (*rules, "file_name_absolute")
        own = f"{posixpath.abspath(local_path(self.folder))}/"
        if path.startswith(own):
            return self._look(path.removeprefix(own), rules)
        parent, _, base = path.rpartition("/")
        info = self._finders(parent)(base) if base else None
        return info and FoundFile(parent, base, info, rules)

    def _rewritten(self, forms: dict[str, tuple[str, ...]]) -> Iterator[FoundFile | None]:
        for form, rules in forms.items():
            inside = below(self.folder, form)
            if inside is not None:
                yield self._look(inside, rules if rules or inside == form else ("file_name_dots",))
            elif form.startswith("/") and is_on_disk(self.folder) and "\0" not in form:
                yield self._absolute(form, rules)

    def _listed(self, forms: dict[str, tuple[str, ...]]) -> Iterator[FoundFile | None]:
        """Compare with the folder's listing; a part of the name is dropped only if the rest is found, and in no other
        folder than the name says."""
        inside = {below(self.folder, form.lstrip("/")): rules for form, rules in forms.items()}
        names = [(name, rules) for name, rules in inside.items() if name is not None]
        for name, rules in names:
            yield self._same(name, name, (*rules, "file_name_case"))
        for name, rules in names:
            for rest in self._without_leading_folders(name):
                file = self._same(rest, name, (*rules, "file_name_folder"))
                yield file if file and self._may_be_in(file.name, name) else None
        for name, rules in names:
            matches = self._by_base.get(_plain(posixpath.basename(name)), [])
            if len(matches) == 1 and self._may_be_in(matches[0], name):
                yield self._look(matches[0], (*rules, "file_name_base"))

    def _same(self, name: str, listed: str, rules: tuple[str, ...]) -> FoundFile | None:
        """The one file whose path is `name` but for upper and lower case and the Unicode normal form."""
        matches = self._by_path.get(_plain(name), [])
        if len(matches) != 1:
            return None
        if name == matches[0] == listed:  # what the listed name has before it is a slash, or rewritten
            return self._look(matches[0], (*rules[:-1], "file_name_slash"))
        differs_in_form = name == listed and unicodedata.normalize("NFC", matches[0]) == unicodedata.normalize(
            "NFC", name
        )
        return self._look(matches[0], ("file_name_unicode",) if differs_in_form else rules)

    def _without_leading_folders(self, name: str) -> Iterator[str]:
        """The ends of a path that still say a folder, or that follow the name of this one; the longest first."""
        parts = name.split("/")
        own = posixpath.basename(self.folder)
        for start in range(1, len(parts)):
            if start < len(parts) - 1 or parts[start - 1] == own:
                yield "/".join(parts[start:])

    def _may_be_in(self, file: str, name: str) -> bool:
        """Whether the file is in each folder of the listed name that there is below this one."""
        return not (_folders(name) - _folders(file)) & self._all_folders

    def of_same_base(self, name: str) -> list[str]:
        """The files below the folder with the last part of the name."""
        return self._by_base.get(_plain(posixpath.basename(name.replace("\\", "/"))), [])

    def of_same_stem(self, name: str) -> list[str]:
        """The files below the folder with the last part of the name but for its extension."""
        return self._by_stem.get(_plain(_stem(name.replace("\\", "/"))), [])

    @cached_property
    def _by_stem(self) -> dict[str, list[str]]:
        return _grouped(self._files, _stem)

    @cached_property
    def _by_path(self) -> dict[str, list[str]]:
        return _grouped(self._files, lambda path: path)

    @cached_property
    def _by_base(self) -> dict[str, list[str]]:
        return _grouped(self._files, posixpath.basename)

    @cached_property
    def _all_folders(self) -> set[str]:
        return {folder for path in set(map(posixpath.dirname, self._files)) for folder in _folders(f"{path}/")}

    @cached_property
    def _files(self) -> list[str]:
        return [file for file in self._own.files() if _is_text(file)]

    @cached_property
    def names_without_text(self) -> int:
        """How many files below the folder have names that are no UTF-8, as of zips from Windows; no name means them."""
        return sum(not _is_text(file) for file in self._own.files())


def image_folders(finders: Finders) -> Callable[[str], ImageFolder]:
    """`ImageFolder` by path, each made once, so that a folder is listed once at most."""
    return cache(lambda folder: ImageFolder(folder, finders))


def _forms(name: str) -> dict[str, tuple[str, ...]]:
    """The name and its rewritten forms, each with the rules that made it, fewest first."""
    forms: dict[str, tuple[str, ...]] = {name: ()}
    for rule, rewrite in _REWRITES:
        for form, rules in list(forms.items()):
            for changed in rewrite(form):
                forms.setdefault(changed, (*rules, rule))
    return dict(sorted(forms.items(), key=lambda item: len(item[1])))


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _stem(path: str) -> str:
    return posixpath.splitext(posixpath.basename(path))[0]


def _folders(path: str) -> set[str]:
    """The names of the folders in a path."""
    return set(_plain(path).split("/")[:-1])


def _plain(path: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", path).casefold())


def _grouped(files: list[str], key: Callable[[str], str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for file in files:
        groups.setdefault(_plain(key(file)), []).append(file)
    return groups
