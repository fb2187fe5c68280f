"""Which runner runs the graph: in this process, in some processes of this machine, or on a cluster.

Beam defines what a runner needs: every `--beam KEY=VALUE` is passed to Beam as `--KEY=VALUE`.
"""

import io
import logging
import re
from collections.abc import Callable
from contextlib import redirect_stderr
from typing import Any

import apache_beam as beam
import grpc
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.runners.portability.portable_runner import PortableRunner
from apache_beam.runners.runner import create_runner

from data_prep.beam.engine import Engine
from data_prep.beam.watchdog import run_with_workers
from data_prep.storage.errors import ConfigError, DataError, MaskxError

_WHERE_IN_THE_GRAPH = " [while running "
_LOGGERS = ("common", "worker.data_plane", "worker.sdk_worker")
_OUR_ERROR = re.compile(r"data_prep\.storage\.errors\.\w+: (?P<sentence>.+)")


def run_graph(engine: Engine, name: str, build: Callable[[beam.Pipeline], None]) -> None:
    """Have `build` lay out a graph, and run it as a job of this name until it ends.

    Raises ConfigError for a runner or option that Beam does not know, DataError if the job fails.
    """
    pipeline = _new_pipeline(engine, name)
    build(pipeline)
    hide_known_errors()
    try:
        if engine.workers > 1:
            run_with_workers(lambda: pipeline.run().wait_until_finish())
        else:
            pipeline.run().wait_until_finish()
    except MaskxError as error:
        raise type(error)(str(error).partition(_WHERE_IN_THE_GRAPH)[0]) from error
    except Exception as error:
        raise DataError(_explain(error, engine, name)) from error


def hide_known_errors() -> None:
    """Keep Beam from logging with a traceback what ends the command with a sentence.

    Those are errors of ours, and broken connections to worker processes.
    """
    for name in _LOGGERS:
        logging.getLogger(f"apache_beam.runners.{name}").addFilter(_is_unknown)


def _is_unknown(record: logging.LogRecord) -> bool:
    known = record.exc_info and isinstance(record.exc_info[1], MaskxError | grpc.RpcError)
    return not known and not _OUR_ERROR.search(record.getMessage())


def job_name(out: str, command: str = "prepare") -> str:
    """The job's name after its output, as every runner accepts it: lower-case letters, digits and hyphens."""
    last = re.sub("[^a-z0-9]+", "-", out.rstrip("/").rpartition("/")[2].lower()).strip("-")
    return f"maskx-{command}-{last}"[:60].rstrip("-")


def _new_pipeline(engine: Engine, name: str) -> beam.Pipeline:
    flags = _flags(engine, name)
    runner = _runner(engine, _unknown_options(flags))
    try:
        return beam.Pipeline(runner=runner, options=PipelineOptions(flags))
    except ValueError as error:
        raise ConfigError(f"--runner {engine.runner}: {' '.join(str(error).split())}") from None


def _flags(engine: Engine, name: str) -> list[str]:
    """Beam's command line; the user's options come last and win."""
    processes = [
        "--direct_running_mode=multi_processing",
        f"--direct_num_workers={engine.workers}",
        "--default_sdk_harness_log_level=ERROR",
    ]
    return [f"--job_name={name}", *(processes if engine.workers > 1 else []), *(f"--{o}" for o in engine.beam)]


def _unknown_options(flags: list[str]) -> list[str]:
    """Options that Beam's Python side does not know; raises ConfigError for a value that it does not accept."""
    unknown: list[str] = []

    def compare(parser: Any) -> None:
        unknown.extend(parser.parse_known_args(flags)[1])

    message = io.StringIO()
    try:
        with redirect_stderr(message):
            PipelineOptions(flags).get_all_options(add_extra_args_fn=compare, retain_unknown_options=True)
    except SystemExit:
        reason = message.getvalue().rpartition("error: ")[2].strip()
        raise ConfigError(f"--beam: {reason}") from None
    return unknown


def _runner(engine: Engine, unknown: list[str]) -> Any:
    """The runner, which refuses options that neither Beam's Python side nor the cluster's job server knows."""
    if engine.runner is None:
        _refuse(unknown)
        return FnApiRunner()
    try:
        runner = create_runner(engine.runner)
    except (ValueError, ImportError, AttributeError) as error:
        raise ConfigError(f"--runner {engine.runner}: {error}") from None
    if isinstance(runner, PortableRunner):
        _check_with_job_server(runner, unknown)
    else:
        _refuse(unknown)
    return runner


def _check_with_job_server(runner: Any, unknown: list[str]) -> None:
    """Have the runner compare options with the list of its job server; Beam itself drops unknown ones silently."""
    make_handle = runner.create_job_service_handle

    def make_and_check(job_service: Any, options: Any) -> Any:
        handle = make_handle(job_service, options)
        known = handle.get_pipeline_options()
        _refuse([option for option in unknown if f"beam:option:{_key(option)}:v1" not in known])
        return handle

    if unknown:
        runner.create_job_service_handle = make_and_check


def _refuse(unknown: list[str]) -> None:
    if unknown:
        raise ConfigError(f"--beam {_key(unknown[0])}: neither Beam nor the runner has a pipeline option of this name")


def _key(option: str) -> str:
    return option.removeprefix("--").partition("=")[0]


def _explain(error: Exception, engine: Engine, name: str) -> str:
    """One sentence on a job that failed: our error if a worker raised one, else the last line of Beam's message."""
    text = str(error).strip()
    ours = _OUR_ERROR.search(text)
    reason = ours["sentence"] if ours else text.splitlines()[-1] if text else type(error).__name__
    where = f"; look at job {name} on {engine.runner}'s own pages and at its workers' logs" if engine.runner else ""
    return f"the job failed: {reason}{where}; run the command again to do what is missing"
