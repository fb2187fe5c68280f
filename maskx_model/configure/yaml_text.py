"""A run's configuration as YAML, each field below its sentence; and the changes that a YAML file asks for."""

import re
import textwrap
from collections.abc import Iterator
from typing import Any

import yaml

from data_prep.storage.errors import ConfigError
from maskx_model.configure.changes import Change
from maskx_model.configure.fields import all_fields, leaves
from maskx_model.configure.values import NOTHING, Text
from maskx_model.run_config import RunConfig

WIDTH = 100
REMEDY = "`maskx config show PRESET` writes a file to edit"
_PLAIN = re.compile(r"[A-Za-z][\w./-]*(:[\w./-]+)*")
_NOT_TEXT = NOTHING | {"true", "false", "yes", "no", "on", "off", "y", "n"}


def to_yaml(config: RunConfig) -> str:
    """The whole configuration as YAML, in the order of the dataclasses, each field below its sentence."""
    values = leaves(config)
    lines: list[str] = []
    for field in all_fields().values():
        depth = field.path.count(".")
        indent, name = "  " * depth, field.path.rpartition(".")[2]
        if depth == 0 and lines:
            lines.append("")
        sentence = re.sub(r"\bNone\b", "null", field.sentence)
        lines += textwrap.wrap(sentence, WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ")
        lines.append(f"{indent}{name}:" if field.is_group else f"{indent}{name}: {written(values[field.path])}")
    return "\n".join(lines) + "\n"


def read_changes(text: bytes, name: str) -> list[Change]:
    """The fields that a YAML (or JSON) document sets, in its order.

    Args:
        text: The document, UTF-8.
        name: The file's name, for messages.

    Raises:
        ConfigError: it is no YAML, no mapping of fields, or sets a field twice.
    """
    try:
        root = yaml.compose(text.decode("utf-8-sig"), Loader=yaml.SafeLoader)
    except UnicodeDecodeError as error:
        raise ConfigError(f"{name}: not text in UTF-8 ({error}); save it so") from None
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or error
        raise ConfigError(
            f"{name}{line}: not YAML ({problem}); `maskx config show PRESET` writes one to edit"
        ) from None
    if root is None:
        return []
    if not isinstance(root, yaml.MappingNode):
        raise ConfigError(f"{name}: not a mapping of fields; {REMEDY}")
    changes = list(_changes(root, "", name))
    lines: dict[str, str] = {}
    for change in changes:
        if change.path in lines:
            raise ConfigError(f"{change.where}: {change.path} was set before ({lines[change.path]}); keep one of them")
        lines[change.path] = change.where
    return changes


def _changes(mapping: Any, prefix: str, name: str) -> Iterator[Change]:
    for key, value in mapping.value:
        where = f"{name}, line {key.start_mark.line + 1}"
        if not isinstance(key, yaml.ScalarNode):
            raise ConfigError(f"{where}: a field's name is needed before the colon")
        path = f"{prefix}{key.value}"
        if isinstance(value, yaml.MappingNode):
            if path not in all_fields():
                yield Change(path, "", where)  # which is refused by its name
            yield from _changes(value, f"{path}.", name)
        else:
            yield Change(path, _text(value, where), where)


def _text(node: Any, where: str) -> Text:
    if isinstance(node, yaml.ScalarNode):
        return str(node.value)
    if not all(isinstance(member, yaml.ScalarNode) for member in node.value):
        raise ConfigError(f"{where}: a list of plain values is needed")
    return [str(member.value) for member in node.value]


def written(value: Any) -> str:
    """A field's value as YAML, on one line."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(written, value))}]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str) and not (_PLAIN.fullmatch(value) and value.lower() not in _NOT_TEXT - {"none"}):
        return str(yaml.safe_dump(value, default_style='"', width=10**9, allow_unicode=True)).rstrip("\n")
    return str(value)
