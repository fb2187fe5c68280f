"""The help pages: usage, description, options by group, and an example, filled to the terminal's width."""

import contextlib
import inspect
import io
import re
import shutil
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any, get_type_hints

from pipelines.command_list import GROUPS, Command, Group, load

WIDEST = 120
_SECTION = re.compile(r"^(Args|Attributes|Example):$", re.MULTILINE)
_ENTRY = re.compile(r"\n(?=    \w+: )")
_ANSI = re.compile(r"\x1b\[[0-9;]*m")

PURPOSE = "Segment every thing: masks for thousands of classes, learned from boxes of all and masks of few."
OPTIONS = {
    "-h, --help": "Show this page. `maskx COMMAND --help` shows a command's.",
    "--version": "Show the version.",
    "--print-completion SHELL": (
        "Print a script that completes commands and options. In bash: source <(maskx --print-completion bash); in zsh, "
        "into a folder of $fpath: maskx --print-completion zsh > _maskx"
    ),
}
EXAMPLE = "maskx pipeline run --preset toy --out runs/demo"


class _LikeStdout(io.TextIOWrapper):
    """Text in memory that passes for stdout: tyro chooses colors and box characters by terminal and encoding."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), encoding=sys.stdout.encoding, errors="replace")

    def isatty(self) -> bool:
        return sys.__stdout__ is not None and sys.__stdout__.isatty()

    def text(self) -> str:
        """Everything that was written."""
        self.seek(0)
        return self.read()


def front_page() -> str:
    """The text of `maskx --help`."""
    commands = table({name: group.summary for name, group in GROUPS.items()})
    example = f"example, from data to a registered model in minutes:\n  {EXAMPLE}"
    sections = [f"commands:\n{commands}", f"options:\n{table(OPTIONS)}", example]
    return "\n\n".join(["usage: maskx COMMAND [-h] …", filled(PURPOSE), *sections])


def group_page(word: str, group: Group) -> str:
    """The text of `maskx WORD --help`, where the word has several commands."""
    assert not isinstance(group.commands, str)
    summaries = {name: summary_of(load(module)) for name, module in group.commands.items()}
    usage = f"usage: maskx {word} COMMAND [-h] …"
    return f"{usage}\n\n{filled(group.summary)}\n\ncommands:\n{table(summaries)}"


def command_page(command: Command, program: str) -> str:
    """The text of a command's `--help`.

    Args:
        command: The function; its docstring's lines are filled already (`fill_docstrings`).
        program: The command as it is typed, such as "maskx data toy".
    """
    import tyro

    page = _LikeStdout()
    with contextlib.redirect_stdout(page), contextlib.suppress(SystemExit):
        tyro.cli(command, prog=program, description="", args=["--help"])
    usage, _, options = page.text().partition("\n")
    body, sections = split_docstring(command)
    paragraphs = [filled(paragraph) for paragraph in body.split("\n\n")]
    example = filled_example(sections["Example"])
    usage = filled(_ANSI.sub("", usage), indent=" " * 6)
    return "\n\n".join([usage, *paragraphs, options.strip("\n"), f"example:\n{example}"])


def fill_docstrings(command: Command) -> None:
    """Put each paragraph and each option's text on one line, in the docstrings of a command and of its option groups.

    tyro fills lines to the terminal's width, but it keeps some of the source's line breaks.
    """
    groups = [annotation for annotation in get_type_hints(command).values() if is_dataclass(annotation)]
    for documented in (command, *groups):
        body, sections = split_docstring(documented)
        parts = ["\n\n".join(" ".join(paragraph.split()) for paragraph in body.split("\n\n"))]
        for title, text in sections.items():
            entries = [" ".join(entry.split()) for entry in _ENTRY.split(text)]
            parts.append("\n    ".join([f"{title}:", *filter(None, entries)]))
        documented.__doc__ = "\n\n".join(parts) + "\n"


def split_docstring(documented: Any) -> tuple[str, dict[str, str]]:
    """The docstring's text before the first section, and each section's text by its title."""
    body, *rest = _SECTION.split(inspect.cleandoc(documented.__doc__))
    return body.strip(), dict(zip(rest[::2], rest[1::2], strict=True))


def summary_of(command: Command) -> str:
    """The first paragraph of a command's docstring, on one line."""
    return " ".join(split_docstring(command)[0].split("\n\n")[0].split())


def table(rows: Mapping[str, str]) -> str:
    """Names and what they mean, in two columns as wide as the terminal."""
    column = max(map(len, rows)) + 4
    return "\n".join(filled(f"  {name:<{column - 2}}{text}", " " * column) for name, text in rows.items())


def filled(text: str, indent: str = "") -> str:
    """The paragraph in lines as wide as the terminal; `indent` goes before all but the first."""
    return textwrap.fill(text, _width(), subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def filled_example(text: str) -> str:
    """The command line in lines that a shell reads as one; none begins with an option's value."""
    words = re.sub(r" (?!--)", "\N{NO-BREAK SPACE}", " ".join(text.split()))
    lines = textwrap.wrap(words, _width() - 4, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
    return "  " + " \\\n  ".join(lines).replace("\N{NO-BREAK SPACE}", " ")


def _width() -> int:
    return min(WIDEST, shutil.get_terminal_size().columns)
