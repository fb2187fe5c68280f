"""The `maskx` command: the first words name a command, whose file is then imported and nothing else.

`maskx --help` imports no library of its own, so that it answers at once.
"""

import difflib
import os
import sys
from collections.abc import Iterable, Sequence
from importlib.metadata import version

from data_prep.log import show_log
from data_prep.storage.errors import MaskxError
from pipelines.command_list import GROUPS, load
from pipelines.help_pages import command_page, fill_docstrings, front_page, group_page

HELP = {"-h", "--help"}

SPIN_COUNT = "50000"
"""How often a waiting thread looks before it sleeps; GNU OpenMP's own default is 300,000 and more."""
# Top-level module of an optional library that is imported here → the extra that brings it.
EXTRAS = {
    "apache_beam": "data",
    "boto3": "s3",
    "botocore": "s3",
    "cv2": "data",
    "google": "data",
    "grpc": "data",
    "hotcoco": "train",
    "ijson": "data",
    "jinja2": "data",
    "kfp": "pipeline",
    "kfp_server_api": "pipeline",
    "kubeflow": "pipeline",
    "kubernetes": "pipeline",
    "matplotlib": "data",
    "mlflow": "train",
    "pandas": "train",
    "pynvml": "train",
    "s3transfer": "s3",
    "safetensors": "train",
    "torch": "train",
    "torchvision": "train",
    "urllib3": "pipeline",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and exit: 0 done, 1 refused or failed, 2 not understood, 130 interrupted, 143 after SIGTERM."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    let_idle_threads_sleep()
    show_log()
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
    except OSError as error:
        if not isinstance(error.filename, str | bytes | os.PathLike):
            raise
        sys.exit(f"maskx: {os.fsdecode(error.filename)}: {error.strerror or error}")
    except KeyboardInterrupt:
        print("maskx: interrupted", file=sys.stderr)
        sys.exit(130)


def let_idle_threads_sleep() -> None:
    """Make OpenMP's threads sleep soon while they wait for each other, unless the user has chosen.

    Threads that spin take the CPU from those that they wait for, as soon as other processes want it too. Without any
    spin (OMP_WAIT_POLICY=PASSIVE) a busy machine is as fast and a free one slower (`benchmarks.wait_policy`). torch's
    OpenMP (GNU's) reads the variable when torch is imported, so it is set before; child processes inherit it.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)


def run(words: Sequence[str]) -> None:
    """Answer the front page's options, or run the command that the first words name."""
    first, *rest = words or ["--help"]
    if first in HELP or first == "help":
        print(front_page())
    elif first == "--version":
        print(f"maskx {version('maskx')}")
    elif first == "--print-completion":
        from pipelines.completion import print_completion

        print_completion(rest)
    elif first in GROUPS:
        run_group(first, rest)
    else:
        refuse(first, GROUPS, "maskx")


def run_group(word: str, words: list[str]) -> None:
    """Run the command of this first word that the next word names."""
    group = GROUPS[word]
    if isinstance(group.commands, str):
        run_command(group.commands, f"maskx {word}", words)
    elif not words or words[0] in HELP:
        print(group_page(word, group))
    elif words[0] in group.commands:
        run_command(group.commands[words[0]], f"maskx {word} {words[0]}", words[1:])
    else:
        refuse(words[0], group.commands, f"maskx {word}")


def run_command(module: str, program: str, words: list[str]) -> None:
    """Import the command and let tyro make its command line of the function's signature."""
    command = load(module)
    fill_docstrings(command)
    if HELP & set(words):
        print(command_page(command, program))
        return
    import tyro

    tyro.cli(command, prog=program, args=words)


def refuse(word: str, known: Iterable[str], program: str) -> None:
    """End with status 2: the word is no command; name those that resemble it, or else all."""
    names = list(known)
    near = difflib.get_close_matches(word, names, cutoff=0.5)
    hint = f"do you mean {' or '.join(near)}?" if near else f"it is one of {', '.join(names)}"
    print(f"{program}: there is no command {word!r}; {hint}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
