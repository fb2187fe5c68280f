"""How a command's options are written: annotations that tyro turns into metavars and defaults in words.

A command is a function. Its docstring gives the help text: a summary, paragraphs, `Args:` and `Example:`. A dataclass
of options, annotated with `Grouped`, becomes a group of its own in the help; its docstring has `Attributes:`.
"""

from typing import Annotated, Any, TypeVar, get_args

from tyro.conf import OmitArgPrefixes, UseAppendAction, arg

Uri = Annotated[str, arg(metavar="URI")]
Number = Annotated[int, arg(metavar="N")]
Options = TypeVar("Options")
Grouped = Annotated[Options, OmitArgPrefixes]
"""`Grouped[Options]`: the options keep their own names, without the parameter's."""


Sources = Annotated[
    UseAppendAction[tuple[str, ...]], arg(metavar="NAME=KIND:PATH", help_behavior_hint="(required, repeatable)")
]


def optional(metavar: Any, default: str) -> Any:
    """Annotate an option that may be left out.

    Args:
        metavar: What the value is called in the help, or the Literal of all values.
        default: What holds where the option is left out, in words.
    """
    return arg(metavar=named(metavar), help_behavior_hint=f"(default: {default})")


def named(metavar: Any) -> str:
    """The placeholder of a value: the name itself, or all values of a Literal."""
    return metavar if isinstance(metavar, str) else "{" + ",".join(map(str, get_args(metavar))) + "}"


Runner = Annotated[str | None, optional("NAME", "this machine")]
BeamOptions = Annotated[
    UseAppendAction[tuple[str, ...]], arg(metavar="KEY=VALUE", help_behavior_hint="(default: no option)")
]
