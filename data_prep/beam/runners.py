"""Which engine runs the graph: this process, some processes of this machine, or a cluster that Beam knows how to ask.

What an engine needs to know is Beam's to define: every `--beam KEY=VALUE` becomes Beam's option `--KEY=VALUE` as it is.
"""

import io
import logging
import re
from collections.abc import Callable
from contextlib import redirect_stderr
from typing import Any

from data_prep.beam.engine import Engine
from data_prep.storage.errors import ConfigError, DataError, MaskxError

_WHERE_IN_THE_GRAPH = " [while running "
_OUR_ERROR = re.compile(r"data_prep\.storage\.errors\.\w+: (?P<sentence>.+)")


def lay_out(engine: Engine, name: str, build: Callable[[Any], None]) -> Callable[[], None]:
    """Have `build` lay a graph out on a pipeline; what is returned runs it, as a job of this name, until it ends.

    Raises ConfigError for a runner or option that Beam does not know; what is returned, DataError if the job fails.
    """
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions

    flags = _flags(engine, name)
    unknown = _unknown_options(flags)
    runner = _runner(engine, unknown)
    try:
        pipeline = beam.Pipeline(runner=runner, options=PipelineOptions(flags))
    except ValueError as error:
        raise ConfigError(f"--runner {engine.runner}: {' '.join(str(error).split())}") from None
    build(pipeline)
    return lambda: _run(pipeline, engine, name)


def _run(pipeline: Any, engine: Engine, name: str) -> None:
    log_no_tracebacks_of_ours()
    try:
        pipeline.run().wait_until_finish()
    except MaskxError as error:
        raise type(error)(str(error).partition(_WHERE_IN_THE_GRAPH)[0]) from error
    except Exception as error:
        raise DataError(_explain(error, engine, name)) from error


def log_no_tracebacks_of_ours() -> None:
    """Beam logs an error with its traceback before it passes it on; ours are sentences that end the command."""
    for name in ("common", "worker.sdk_worker"):
        logging.getLogger(f"apache_beam.runners.{name}").addFilter(_is_not_ours)


def _is_not_ours(record: logging.LogRecord) -> bool:
    ours = record.exc_info and isinstance(record.exc_info[1], MaskxError)
    return not ours and not _OUR_ERROR.search(record.getMessage())


def job_name(out: str) -> str:
    """A name that any engine takes (lower-case letters, digits, hyphens) and that tells whose job it is."""
    last = re.sub("[^a-z0-9]+", "-", out.rstrip("/").rpartition("/")[2].lower()).strip("-")
    return f"maskx-prepare-{last}"[:60].rstrip("-")


def _flags(engine: Engine, name: str) -> list[str]:
    """Beam's command line; what the user says comes last and stands."""
    mode = ["--direct_running_mode=multi_processing", f"--direct_num_workers={engine.workers}"]
    return [f"--job_name={name}", *(mode if engine.workers > 1 else []), *(f"--{option}" for option in engine.beam)]


def _unknown_options(flags: list[str]) -> list[str]:
    """Options that Beam's Python side does not know; raises ConfigError for a value that it does not take."""
    from apache_beam.options.pipeline_options import PipelineOptions

    unknown: list[str] = []

    def compare(parser: Any) -> None:
        unknown.extend(parser.parse_known_args(flags)[1])

    said = io.StringIO()
    try:
        with redirect_stderr(said):
            PipelineOptions(flags).get_all_options(add_extra_args_fn=compare, retain_unknown_options=True)
    except SystemExit:
        reason = said.getvalue().rpartition("error: ")[2].strip()
        raise ConfigError(f"--beam: {reason}") from None
    return unknown


def _runner(engine: Engine, unknown: list[str]) -> Any:
    """The runner, which refuses options that neither Beam's Python side nor the engine's job server knows."""
    if engine.runner is None:
        from apache_beam.runners.portability.fn_api_runner import FnApiRunner

        from data_prep.beam import watchdog as watched_workers  # noqa: F401  (a worker process that dies must end the job)

        _refuse(unknown)
        return FnApiRunner()
    from apache_beam.runners.portability.portable_runner import PortableRunner
    from apache_beam.runners.runner import create_runner

    try:
        runner = create_runner(engine.runner)
    except (ValueError, ImportError, AttributeError) as error:
        raise ConfigError(f"--runner {engine.runner}: {error}") from None
    if isinstance(runner, PortableRunner):
        _ask_job_server(runner, unknown)
    else:
        _refuse(unknown)
    return runner


def _ask_job_server(runner: Any, unknown: list[str]) -> None:
    """Have the runner check options by the list that its job server gives, which Beam itself drops in silence."""
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
    """One sentence on a job that failed: ours if a worker ended with one, else the last line of what Beam tells."""
    text = str(error).strip()
    ours = _OUR_ERROR.search(text)
    reason = ours["sentence"] if ours else text.splitlines()[-1] if text else type(error).__name__
    where = f"; look at job {name} in {engine.runner}'s own pages and at its workers' logs" if engine.runner else ""
    return f"the job failed: {reason}{where}; given again, the command goes on with the shards that are missing"
