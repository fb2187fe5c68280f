"""The fields of a run's configuration by their paths, such as `stage1.steps`, each with its type and its sentence."""

import ast
import difflib
import inspect
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from typing import Any, get_type_hints

from data_prep.storage.errors import ConfigError
from maskx_model.run_config import RunConfig


@dataclass(frozen=True)
class Field:
    """A field: its path, its type (a dataclass for a group of fields), and what it means."""

    path: str
    type: Any
    sentence: str

    @property
    def is_group(self) -> bool:
        """Whether fields stand below this one."""
        return is_dataclass(self.type)


@cache
def all_fields() -> dict[str, Field]:
    """Every field and every group by its path, in the order of the dataclasses."""
    return {field.path: field for field in _below(RunConfig, "")}


def find_field(path: str, where: str) -> Field:
    """The field of this path.

    Args:
        path: Such as "stage1.steps".
        where: What names it, for the message: an option, or a file's line.

    Raises:
        ConfigError: there is none, with those that resemble it; or it is a group, with its fields.
    """
    known = all_fields()
    field = known.get(path)
    if field is None:
        near = near_names(path, [each for each, field in known.items() if not field.is_group])
        hint = f"do you mean {' or '.join(near)}?" if near else "`maskx config show PRESET` lists all"
        raise ConfigError(f"{where}: there is no field {path!r}; {hint}")
    if field.is_group:
        inside = ", ".join(each for each in known if each.startswith(f"{path}."))
        raise ConfigError(f"{where}: {path} is a group; set a field of it: {inside}")
    return field


def near_names(path: str, known: list[str]) -> list[str]:
    """Up to four names that resemble this one, those with the same last word first."""
    last = path.rpartition(".")[2]
    same = [name for name in known if name.rpartition(".")[2] == last]
    return list(dict.fromkeys([*same, *difflib.get_close_matches(path, known, cutoff=0.7)]))[:4]


def leaves(config: RunConfig) -> dict[str, Any]:
    """Every field's value by its path."""
    return dict(_leaves(config, ""))


def _leaves(value: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for field in fields(value):
        own = getattr(value, field.name)
        if is_dataclass(own):
            yield from _leaves(own, f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}", own


def _below(group: type[Any], prefix: str) -> Iterator[Field]:
    hints, sentences = get_type_hints(group), _sentences(group)
    for field in fields(group):
        own = Field(f"{prefix}{field.name}", hints[field.name], sentences[field.name])
        yield own
        if own.is_group:
            yield from _below(own.type, f"{own.path}.")


def _sentences(group: type[Any]) -> dict[str, str]:
    """The text that stands below each field in the source of a dataclass and of those that it extends."""
    found: dict[str, str] = {}
    for each in reversed(group.__mro__):
        if not is_dataclass(each):
            continue
        (definition,) = ast.parse(inspect.getsource(each)).body
        assert isinstance(definition, ast.ClassDef)
        for field, text in zip(definition.body, definition.body[1:], strict=False):
            if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
                assert isinstance(field.target, ast.Name)
                found[field.target.id] = " ".join(str(text.value.value).split())
    return found
