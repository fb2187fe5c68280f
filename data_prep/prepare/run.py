"""Prepare: its processes start before what is heavy is imported here."""

from dataclasses import replace

from data_prep.beam.jobs import Job, starting
from data_prep.format.manifest import Manifest
from data_prep.prepare.options import PrepareOptions


def prepare(options: PrepareOptions) -> Manifest:
    """Make the dataset and return its manifest; a finished one that is still what is asked for is verified and kept.

    An unfinished one is completed: shards that stand are verified and kept. Raises DataError or ConfigError; then no
    manifest has been written.
    """
    options = replace(options, out=options.out.rstrip("/"))
    job = Job("data_prep.beam.graph:write_shards", options.out, options.engine, options.sources)
    with starting(job) as run:
        from data_prep.prepare.make_dataset import make_dataset

        return make_dataset(options, run)
