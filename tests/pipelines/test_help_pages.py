"""Every command's help page, as it is shown in a narrow and in a wide terminal."""

import re
import shlex
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from pipelines.cli import main, run_command
from pipelines.command_list import GROUPS, load
from pipelines.help_pages import fill_docstrings, split_docstring
from tests.pipelines.commands import all_commands

COMMANDS = all_commands()
WIDTHS = (80, 120)


def page(words: str, width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    monkeypatch.setenv("COLUMNS", str(width))
    main([*words.split(), "--help"])
    return capsys.readouterr().out


def texts(shown: str) -> str:
    """A page without boxes, its white space normalized."""
    return " ".join(re.sub("[│╭╮╰╯─]", " ", shown).split())


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("words", ["", *GROUPS, *COMMANDS])
def test_no_line_is_wider_than_the_terminal(
    words: str, width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert max(map(len, page(words, width, monkeypatch, capsys).splitlines())) <= width


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("words", COMMANDS)
def test_lines_break_where_the_terminal_ends_and_nowhere_else(
    words: str, width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The next word would not have fitted on a line that another one follows."""
    lines = [line.strip("│").rstrip() for line in page(words, width, monkeypatch, capsys).splitlines()]
    for line, following in pairwise(lines):
        indent, next_indent = (len(each) - len(each.lstrip()) for each in (line, following))
        if next_indent >= 6 and indent == next_indent and not following.strip().startswith("-"):
            next_word = following.split()[0]
            assert len(line) + 1 + len(next_word) > width - 5, f"{line!r} is followed by {following!r}"


@pytest.mark.parametrize("words", COMMANDS)
def test_what_is_left_out_is_said_in_words(
    words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not re.search(r"\bNone\b|default: \)", page(words, 100, monkeypatch, capsys))


def test_a_preset_s_value_is_named_where_all_presets_agree(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = texts(page("train masks", 100, monkeypatch, capsys))
    assert "--transfer-layers N Number of fully connected layers of T. (as the preset says: 2)" in shown
    assert "is chosen. (as the preset says) --scale-learning-rate" in shown


@pytest.mark.parametrize("words", COMMANDS)
def test_the_page_has_the_whole_docstring_and_every_option_its_text(
    words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = page(words, 100, monkeypatch, capsys)
    body, sections = split_docstring(load(COMMANDS[words]))
    assert " ".join(body.split()) in texts(shown)
    for entry in sections.get("Args", "").strip().split("\n"):
        assert " ".join(entry.partition(": ")[2].split()) in texts(shown)


def test_options_stand_in_groups(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    shown = page("train masks", 100, monkeypatch, capsys)
    groups = re.findall(r"^\W*(\w*) ?options\W*$", shown, re.MULTILINE)
    assert groups == ["", "configuration", "schedule", "model", "training", "computation", "tracking"]


class ReachedError(Exception):
    """The command line was understood and the command called."""


@pytest.mark.parametrize("words", COMMANDS)
def test_the_example_is_understood(words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command is called, and not run: it would read files that the example makes up."""
    command = load(COMMANDS[words])
    fill_docstrings(command)
    example = split_docstring(command)[1]["Example"].strip()
    assert example.startswith(f"maskx {words}")

    def profiled(frame: object, event: str, _: object) -> None:
        if event == "call" and getattr(frame, "f_code", None) is command.__code__:
            raise ReachedError

    sys.setprofile(profiled)
    try:
        with pytest.raises(ReachedError):
            run_command(COMMANDS[words], f"maskx {words}", shlex.split(example)[1 + len(words.split()) :])
    finally:
        sys.setprofile(None)


@pytest.mark.parametrize("words", COMMANDS)
def test_a_long_example_is_one_command_to_a_shell(
    words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = page(words, 80, monkeypatch, capsys).partition("example:\n")[2]
    example = split_docstring(load(COMMANDS[words]))[1]["Example"]
    assert shlex.split(shown.replace("\\\n", "")) == shlex.split(example)


def test_a_file_holds_one_command() -> None:
    assert len(set(COMMANDS.values())) == len(COMMANDS)
    for module in COMMANDS.values():
        assert (Path(__file__).parents[2] / f"{module.replace('.', '/')}.py").is_file()
