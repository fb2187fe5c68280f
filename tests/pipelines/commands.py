"""Every command, for tests that go over all of them."""

from pipelines.command_list import GROUPS


def all_commands() -> dict[str, str]:
    """Every command as it is typed, without `maskx` → its module."""
    return {
        f"{word} {name}".strip(): module
        for word, group in GROUPS.items()
        for name, module in ({"": group.commands} if isinstance(group.commands, str) else group.commands).items()
    }
