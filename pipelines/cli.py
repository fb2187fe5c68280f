"""The `maskx` command: the first word names a room, whose one command file is then imported and nothing else.

`maskx --help` imports no library of its own, so that it answers at once.
"""

import importlib
import os
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any, NamedTuple

from data_prep.storage.errors import MaskxError

Command = Callable[..., Any]
Commands = dict[str, Command]


class Group(NamedTuple):
    """One first word: the module that holds its commands in `COMMANDS`, and a line of help."""

    module: str
    summary: str


GROUPS = {
    "data": Group(
        "data_prep.commands", "write a toy world; turn COCO, Visual Genome or own files into a dataset; look at it"
    ),
    "train": Group("maskx_model.cli.commands", "train the detector (stage 1) or the masks of every class (stage 2)"),
    "evaluate": Group(
        "maskx_model.cli.commands", "measure AP on classes with and without masks in training; write a report"
    ),
    "predict": Group("maskx_model.cli.commands", "find and segment the objects of images"),
    "study": Group(
        "maskx_model.study.commands",
        "compare variants of the mask head on classes held out; the paper's tables in small",
    ),
    "model": Group("maskx_model.cli.commands", "register trained models and name the champion"),
    "pipeline": Group("pipelines.commands", "all of it in one go: run here, or compile for Kubeflow Pipelines"),
}

# Top-level module of an optional library → the extra that brings it.
EXTRAS = {
    "apache_beam": "data",
    "boto3": "s3",
    "cv2": "data",
    "hotcoco": "train",
    "jinja2": "data",
    "matplotlib": "data",
    "mlflow": "train",
    "safetensors": "train",
    "torch": "train",
    "torchvision": "train",
    "kfp": "pipeline",
}

USAGE = """usage: maskx COMMAND [-h] …

Segment every thing: masks for thousands of classes, learned from boxes of all and masks of few.

commands:
{commands}

`maskx COMMAND --help` tells more. A first try, start to end, in about five minutes:
  maskx pipeline run --preset toy --out runs/demo
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and exit: 0 done, 1 refused or failed, 2 not understood, 130 interrupted."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        run(words)
        sys.stdout.flush()
    except MaskxError as error:
        sys.exit(f"maskx: {error}")
    except ModuleNotFoundError as error:
        extra = EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        sys.exit(f"maskx: this command needs {error.name}, which is not installed: pip install 'maskx[{extra}]'")
    except BrokenPipeError:  # whoever read the output has seen enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains once more at its exit
    except KeyboardInterrupt:
        print("maskx: interrupted", file=sys.stderr)
        sys.exit(130)


def run(words: Sequence[str]) -> None:
    """Answer `--help` and `--version`, or hand the words over to the room that the first one names."""
    first = words[0] if words else "--help"
    if first in {"-h", "--help", "help"}:
        print(usage())
    elif first == "--version":
        print(f"maskx {version('maskx')}")
    elif first in GROUPS:
        run_group(first, list(words[1:]))
    else:
        print(f"maskx: there is no command {first!r}; it is one of {', '.join(GROUPS)}", file=sys.stderr)
        sys.exit(2)


def usage() -> str:
    """The text of `maskx --help`."""
    return USAGE.format(commands="\n".join(f"  {name:<10}{group.summary}" for name, group in GROUPS.items())).rstrip()


def run_group(word: str, words: list[str]) -> None:
    """Import the room's command file and let tyro make a command line of the functions' signatures."""
    group = GROUPS[word]
    entry: Command | Commands = importlib.import_module(group.module).COMMANDS
    if isinstance(entry, dict) and word in entry:
        entry = entry[word]
    import tyro

    if isinstance(entry, dict):
        tyro.extras.subcommand_cli_from_dict(
            entry, prog=f"maskx {word}", description=f"{group.summary[0].upper()}{group.summary[1:]}.", args=words
        )
    else:
        tyro.cli(entry, prog=f"maskx {word}", args=words)


if __name__ == "__main__":
    main()
