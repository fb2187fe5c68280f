"""Shell completion of all commands and their options, by tyro."""

from collections.abc import Mapping
from typing import Annotated, Any, Union

from data_prep.storage.errors import ConfigError
from pipelines.command_list import GROUPS, Command, load

SHELLS = ("bash", "zsh")


def print_completion(words: list[str]) -> None:
    """Print the script that teaches a shell to complete `maskx`; raises ConfigError for an unknown shell."""
    if len(words) != 1 or words[0] not in SHELLS:
        raise ConfigError(f"--print-completion: name a shell, one of {', '.join(SHELLS)}")
    import tyro

    commands = {
        word: load(group.commands) if isinstance(group.commands, str) else _joined(group.commands)
        for word, group in GROUPS.items()
    }
    tyro.extras.subcommand_cli_from_dict(
        commands,
        prog="maskx",
        args=["--tyro-print-completion", words[0]],
        config=(tyro.conf.OmitSubcommandPrefixes,),
    )


def _joined(commands: Mapping[str, str]) -> Command:
    """A function that takes one of these commands as tyro's subcommand."""
    from tyro.conf import arg, subcommand

    choices = tuple(
        Annotated[Any, subcommand(name, constructor=load(module), description="")] for name, module in commands.items()
    )

    def group(command: Any) -> Any:
        return command

    group.__annotations__["command"] = Annotated[Union[choices], arg(name="")]  # noqa: UP007  made of a tuple
    return group
