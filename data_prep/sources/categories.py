"""The classes that a COCO-format file lists."""

from collections.abc import Container
from typing import Annotated, Any

import msgspec

from data_prep.format.records import as_listed
from data_prep.sources.coercions import Id, is_mapped, shown, spelled, to_id
from data_prep.sources.counts import Counts, Example
from data_prep.sources.lenient_images import text
from data_prep.sources.options import CocoFiles
from data_prep.sources.reasons import BrokenError
from data_prep.storage.errors import JSON_ERRORS, DataError


class Category(msgspec.Struct, frozen=True):
    """A class as the file lists it; `synset` says what it means and `supercategory` what it is one of, if the file
    does. `original_id` is the id that the file has where that is text, or no number up to 2^53."""

    id: Id
    name: Annotated[str, msgspec.Meta(min_length=1)]
    synset: str | None = None
    supercategory: str | None = None
    original_id: str | None = None

    @property
    def listed_id(self) -> int | str:
        """Its id in the file."""
        return as_listed(self.id, self.original_id)


class _AsWritten(msgspec.Struct, frozen=True):
    id: Id
    name: Annotated[str, msgspec.Meta(min_length=1)]
    synset: str | None = None
    supercategory: str | None = None


_categories = msgspec.json.Decoder(list[_AsWritten])


def read_categories(files: CocoFiles, data: msgspec.Raw | None, counts: Counts) -> tuple[Category, ...]:
    """The file's classes in the order of their ids; the same id and name again is one class, and counted.

    Raises DataError if there are none, if one lacks an id or a name, or if one id has two names.
    """
    path = files.annotations
    if data is None:
        raise DataError(f"{path}: has no 'categories'; is it the right file?")
    try:
        listed = [Category(each.id, each.name, each.synset, each.supercategory) for each in _categories.decode(data)]
    except JSON_ERRORS:
        listed = _read_leniently(files, data, counts)
    found: dict[int, Category] = {}
    for category in listed:
        first = found.setdefault(category.id, category)
        if first is category:
            continue
        if first.name != category.name:
            raise DataError(
                f"{path}: category id {category.id} has two names, {first.name!r} and {category.name!r}; "
                "give each class an id of its own"
            )
        counts.repair(files.source, "category_repeated", _example(files, shown("name", category.name)))
    if not found:
        raise DataError(f"{path}: lists no categories; list each class with an id and a name")
    return tuple(sorted(found.values(), key=lambda c: c.id))


def without_unused_doubles(categories: tuple[Category, ...], used: Container[int | None]) -> tuple[Category, ...]:
    """The classes without those whose name a class with objects has too: tools list a group by its one class's name.

    `used` are the category ids that annotations have.
    """
    with_objects = {c.name for c in categories if c.id in used}
    return tuple(c for c in categories if c.id in used or c.name not in with_objects)


def count_doubles(files: CocoFiles, categories: tuple[Category, ...], counts: Counts) -> None:
    """Count every further id under which a class is listed: objects of all of them are of one class."""
    first: dict[str, int] = {}
    for category in categories:
        number = first.setdefault(category.name, category.id)
        if number != category.id:
            seen = f"{shown('name', category.name)} has the ids {number} and {category.id}"
            counts.repair(files.source, "category_ids_joined", _example(files, seen))


def _example(files: CocoFiles, seen: str) -> Example:
    return Example(files.label, -1, "photograph", -1, f"categories: {seen}")


def _read_leniently(files: CocoFiles, data: msgspec.Raw, counts: Counts) -> list[Category]:
    try:
        items = msgspec.json.decode(data, type=list[Any])
    except UnicodeDecodeError as error:
        raise DataError(
            f"{files.annotations}: its categories are not UTF-8 text ({error}); save the file as UTF-8"
        ) from None
    except JSON_ERRORS as error:
        raise DataError(
            f"{files.annotations}: its categories are no list ({error}); list an id and a name each"
        ) from None
    return [_read_category(files, item, counts) for item in items]


def _read_category(files: CocoFiles, item: Any, counts: Counts) -> Category:
    if not isinstance(item, dict):
        raise DataError(
            f"{files.annotations}: {shown('category', item)} is no object; give every category an id and a name"
        )
    name = item.get("name")
    if isinstance(name, int | float) and not isinstance(name, bool):
        counts.repair(files.source, "number_written", _example(files, shown("name", name)))
        name = str(name)
    if not isinstance(name, str) or not name:
        raise DataError(
            f"{files.annotations}: {shown('category', item)} has no name; give every category an id and a name"
        )
    try:
        number = to_id("id", item.get("id"))
    except BrokenError as error:
        raise DataError(
            f"{files.annotations}: category {name!r}, {error.seen}; give it a whole number as its id"
        ) from None
    original = spelled(item["id"]) if is_mapped(item["id"], number) else None
    if original or not isinstance(item["id"], int):
        reason = "id_mapped" if original else "number_written"
        counts.repair(files.source, reason, _example(files, shown("id", item["id"])))
    return Category(number, name, text(item, "synset"), text(item, "supercategory"), original)
