"""Prepare: its processes start before what is heavy is imported here."""

from data_prep.format.manifest import Manifest
from data_prep.jobs import starting
from data_prep.prepare_options import PrepareOptions


def prepare(options: PrepareOptions) -> Manifest:
    """Make the dataset and return its manifest; a finished one that is still what is asked for is verified and kept.

    An unfinished one is completed: shards that stand are verified and kept. Raises DataError or ConfigError; then no
    manifest has been written.
    """
    with starting(options.engine, options.sources) as run_job:
        from data_prep.pipeline import make_dataset

        return make_dataset(options, run_job)
