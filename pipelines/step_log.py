"""What a person sees of a local run: step names, progress and times instead of KFP's own log.

Everything the steps print goes to a log file whole; the terminal gets what is worth reading.
"""

import io
import itertools
import logging
import re
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import TextIO

SECONDS_BETWEEN_BARS = 30.0
"""Where the terminal is a file or a pipe."""

_STARTED = re.compile(r"Executing task .*'([\w-]+)'")
_FINISHED = re.compile(r"Task .*'([\w-]+)'.* finished with status .*(SUCCESS|FAILURE)")
_PROGRESS = re.compile(r"\d+%\|| \[\d+:\d\d")  # how tqdm writes a bar, and a count without a total
_USER_ERROR = re.compile(r"^data_prep\.storage\.errors\.\w+: (.*)")
_EXECUTOR = "[KFP Executor "  # what every logger in a step's process writes before its message
_RULE = re.compile(r"^-*$")


class StepLog(io.TextIOBase, logging.Filter):
    """Stands in for `sys.stdout` and filters the root logger while `kfp.local` runs a pipeline.

    Args:
        names: Component name → the step's name as people know it.
        log: Takes every line.
        on_finished: Called with a step's name and its seconds when it has ended, well or not.
        terminal: Where the readable lines go.
    """

    def __init__(
        self,
        names: Mapping[str, str],
        log: TextIO,
        on_finished: Callable[[str, float], None],
        terminal: TextIO,
    ) -> None:
        super().__init__()
        self.nomatch = False
        self.names = names
        self.log = log
        self.on_finished = on_finished
        self.terminal = terminal
        self.failed: str | None = None
        self._error = ""
        self._lines: deque[str] = deque(maxlen=200)
        self._partial = ""
        self._hidden_until: re.Pattern[str] | None = None
        self._bar_shown = False
        self._begun = 0
        self._started = 0.0
        self._next_bar = 0.0

    def filter(self, record: logging.LogRecord) -> bool:
        """Take notice of KFP's records about steps; none of them is printed."""
        message = record.getMessage()
        self.log.write(message + "\n")
        if found := _STARTED.search(message):
            self._start(self.names[found[1]])
        elif found := _FINISHED.search(message):
            self._finish(self.names[found[1]], found[2] == "SUCCESS")
        return False

    def write(self, text: str) -> int:
        """Take text that a step printed."""
        self.log.write(text)
        *lines, self._partial = (self._partial + text).split("\n")
        for line in lines:
            self._take(line.removeprefix("    ").rstrip())  # KFP indents by four
        return len(text)

    def flush(self) -> None:
        """Flush both sides; KFP's logging handlers call this."""
        self.log.flush()
        self.terminal.flush()

    def error(self) -> str:
        """Why the first step that failed did so: the sentence meant for users and the list below it, or else the last
        line that it printed."""
        return self._error

    def _told(self) -> str:
        lines = list(self._lines)
        for place, line in reversed(list(enumerate(lines))):
            if found := _USER_ERROR.match(line):
                listed = itertools.takewhile(lambda each: each.startswith("- "), lines[place + 1 :])
                return "\n".join([found[1], *listed])
        return lines[-1] if lines else "it printed nothing"

    def _start(self, name: str) -> None:
        self._lines.clear()
        self._started = time.monotonic()
        self._next_bar = self._started + SECONDS_BETWEEN_BARS
        self._begun += 1
        self._show(f"[{self._begun}/{max(self._begun, len(self.names))}] {name}")

    def _finish(self, name: str, succeeded: bool) -> None:
        seconds = time.monotonic() - self._started
        self.on_finished(name, seconds)
        if succeeded:
            self._show(f"      done in {seconds:.0f} s")
        elif self.failed is None:  # what ran after it, to tell how the run ended, is not the reason
            self.failed, self._error = name, self._told()

    def _take(self, line: str) -> None:
        if self._hidden_until:
            if self._hidden_until.match(line):
                self._hidden_until = None
                self._lines.append(line)
        elif _EXECUTOR in line:
            if line.endswith("Got executor_input:"):
                self._hidden_until = re.compile(r"^}")  # the end of that JSON object
            if before := line.partition(_EXECUTOR)[0].rstrip():  # a bar that had not ended its line
                self._take(before)
        elif line.startswith("Traceback (most recent call last)"):
            self._hidden_until = re.compile(r"^\S")  # the exception itself, which `error` quotes
        elif _PROGRESS.search(line):
            self._show_bar(line)
        elif not _RULE.match(line):
            self._lines.append(line)
            self._show(f"      {line}")

    def _show_bar(self, line: str) -> None:
        """One line that moves on a terminal; elsewhere a line now and then."""
        if self.terminal.isatty():
            self.terminal.write(f"\r\x1b[K      {line.strip()}")
            self.terminal.flush()
            self._bar_shown = True
        elif time.monotonic() > self._next_bar or "100%" in line:
            self._show(f"      {line.strip()}")
            self._next_bar = time.monotonic() + SECONDS_BETWEEN_BARS

    def _show(self, line: str) -> None:
        if self._bar_shown:
            self.terminal.write("\n")
            self._bar_shown = False
        self.terminal.write(line + "\n")
        self.terminal.flush()
