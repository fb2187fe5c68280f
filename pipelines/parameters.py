"""Values for the pipeline's parameters, from a YAML file and from `name=value`, in the types that it declares."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from data_prep.storage.errors import ConfigError
from data_prep.storage.storage import read
from maskx_model.preflight.findings import Findings
from maskx_model.preflight.places import check_credentials
from maskx_model.preflight.pods import check_pods
from maskx_model.registry.credentials import shown

KINDS = {
    "STRING": "a text",
    "NUMBER_INTEGER": "a whole number",
    "NUMBER_DOUBLE": "a number",
    "BOOLEAN": "true or false",
    "LIST": "a list, such as [a, b]",
    "STRUCT": "an object, such as {name: value}",
}
"""Type in a compiled pipeline → what people call it."""
OTHER_LISTS = {"seeds": (int, "whole numbers"), "gpu_tolerations": (dict, "objects")}
"""The lists whose items are no texts, which a compiled pipeline does not say: the items' type, and its name."""


def parameters_of(spec: Mapping[str, Any], file: str | None, words: Sequence[str]) -> dict[str, Any]:
    """The values to submit.

    Args:
        spec: The compiled pipeline's first document.
        file: A YAML file of parameters by name, on disk or in object storage, or None.
        words: `name=value`; each overrides the file. A value is read by the parameter's type: a text is
            taken as it is, all others are YAML.

    Raises:
        ConfigError: a file that is no YAML mapping, or, a line each: a name that does not exist, a value of another
            type, one that no pod can be asked for, a tracking server's URI with a password, a parameter that is
            missing.
        DataError: there is no such file.
    """
    known = spec["root"]["inputDefinitions"]["parameters"]
    given: dict[str, Any] = {} if file is None else _mapping(file)
    problems: list[str] = []
    values: dict[str, Any] = {}
    for name, value in given.items():
        _take(values, known, str(name), value, str(file), problems)
    for word in words:
        name, equals, text = word.partition("=")
        if not equals:
            problems.append(f"{word}: write NAME=VALUE")
        elif name not in known or known[name]["parameterType"] == "STRING":
            _take(values, known, name, text, word, problems)
        else:
            try:
                _take(values, known, name, yaml.safe_load(text), word, problems)
            except yaml.YAMLError:
                problems.append(f"{word}: {name} is {KINDS[known[name]['parameterType']]}")
    needed = [name for name, each in known.items() if not each.get("isOptional") and name not in values]
    named = {word.partition("=")[0] for word in words} | {str(name) for name in given}
    problems += [f"{name}: is missing; {known[name]['description']}" for name in needed if name not in named]
    if problems:
        raise ConfigError("\n- ".join([f"parameters of the pipeline: {len(problems)} wrong", *map(shown, problems)]))
    return values


def _mapping(file: str) -> dict[str, Any]:
    try:
        content = yaml.safe_load(read(file))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: not YAML ({' '.join(str(error).split())})") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{file}: holds no parameters; write a line NAME: VALUE for each")
    return content


def _take(
    values: dict[str, Any], known: Mapping[str, Any], name: str, value: Any, where: str, problems: list[str]
) -> None:
    """Put a value among `values`, or else say among `problems` what is wrong with it."""
    item, items = OTHER_LISTS.get(name, (str, "texts"))
    if name not in known:
        near = difflib.get_close_matches(name, known) or sorted(known)
        problems.append(f"{where}: there is no parameter {name!r}; do you mean {' or '.join(near)}?")
    elif not _fits(value, kind := known[name]["parameterType"]):
        problems.append(f"{where}: {name} is {KINDS[kind]}, not {value!r}")
    elif kind == "LIST" and (others := [each for each in value if type(each) is not item]):
        problems.append(f"{where}: {name} is a list of {items}, not {others[0]!r}; {known[name]['description']}")
    else:
        values[name] = float(value) if kind == "NUMBER_DOUBLE" else value
        findings = Findings()
        check_pods({name: value}, findings)
        if name == "tracking_uri":
            findings.attempt(check_credentials, value)
        problems += [f"{where}: {problem}" for problem in findings.problems]


def _fits(value: Any, kind: str) -> bool:
    if kind in ("NUMBER_INTEGER", "NUMBER_DOUBLE"):
        return isinstance(value, int if kind == "NUMBER_INTEGER" else int | float) and not isinstance(value, bool)
    return isinstance(value, {"STRING": str, "BOOLEAN": bool, "LIST": list, "STRUCT": dict}[kind])
