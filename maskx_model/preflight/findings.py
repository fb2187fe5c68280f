"""What the checks found: all that is wrong, and what is worth knowing."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from data_prep.storage.errors import ConfigError, MaskxError

P = ParamSpec("P")
T = TypeVar("T")


class Findings:
    """Problems, each a line; and notes, each a line of the plan."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.notes: list[str] = []

    def attempt(self, check: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        """Call a check; where it raises, remember the message as a problem and return None."""
        try:
            return check(*args, **kwargs)
        except (MaskxError, OSError) as error:
            message = " ".join(str(error).split())
            if message not in self.problems:
                self.problems.append(message)
            return None

    def raise_problems(self) -> None:
        """Raise ConfigError with every problem, each on a line of its own; nothing if there is none."""
        if len(self.problems) == 1:
            raise ConfigError(self.problems[0])
        if self.problems:
            lines = "\n".join(f"- {problem}" for problem in self.problems)
            raise ConfigError(f"{len(self.problems)} things are wrong:\n{lines}")
