"""Original files → dataset: plan, have Beam write the shards, publish."""

import hashlib
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import msgspec
from tqdm import tqdm

from data_prep.format.manifest import Manifest, manifest_uri
from data_prep.format.rejects import MOST_LISTED, write_rejects
from data_prep.plan.plan import Contents, Plan, counts_uri, work_folder, write_plan
from data_prep.plan.planning import make_plan
from data_prep.prepare.finished import describe_run, finished_dataset, write_run
from data_prep.prepare.options import PrepareOptions
from data_prep.prepare.publish import Parameters, publish
from data_prep.prepare.rejects_limit import check_ceiling
from data_prep.prepare.vocabulary import read_synset_table
from data_prep.sources.counts import Counts, RefusedError
from data_prep.sources.options import parse_sources
from data_prep.storage.errors import DataError
from data_prep.storage.own_files import read_own
from data_prep.storage.storage import check_writable, exists, is_folder, list_files, write

logger = logging.getLogger(__name__)


def prepare(options: PrepareOptions) -> Manifest:
    """Make the dataset and return its manifest; a finished one that the options still describe is kept.

    An unfinished dataset is completed: its finished shards are verified and reused. Raises DataError or ConfigError;
    then no manifest has been written.
    """
    options = replace(options, out=options.out.rstrip("/"))
    out = options.out
    check_writable(out)
    table = read_synset_table(options.synsets)
    logger.info("reading what the sources list")
    with _rejects_kept(out):
        return _prepare(options, table)


def _prepare(options: PrepareOptions, table: dict[str, str]) -> Manifest:
    out = options.out
    sources = parse_sources(options.sources, options.made)
    planned, contents = make_plan(out, sources, options.shard_bytes, options.limit, options.exif)
    check_ceiling(planned.counts, options.max_rejected)
    parameters = _parameters(options, table)
    run = describe_run(planned.plan, contents, options.sources)
    if manifest := finished_dataset(out, planned, parameters, run, options.verify):
        logger.info("%s is finished already; %s", out, "verified and kept" if options.verify else "kept")
        return manifest
    from data_prep.beam.graph import write_shards  # Beam's import takes seconds

    write_plan(planned.plan, contents)
    _tell(planned.plan, contents)
    del contents  # the workers read it from the plan
    with _progress(out, len(planned.plan.shards)):
        write_shards(out, options.engine)
    scanned = read_own(counts_uri(out), Counts)
    write_run(planned.plan, run)
    return publish(planned, scanned, table, parameters, options.classes, options.max_rejected)


def _tell(plan: Plan, contents: Contents) -> None:
    counted = [(shard.written, len(images)) for shard, images in zip(plan.shards, contents.images, strict=True)]
    sizes = [size for written, size in counted if written]
    logger.info("writing %d images into %d shards", sum(sizes), len(sizes))
    if others := sum(size for written, size in counted if not written):
        logger.info("comparing training images with %d held-out images that are not written too", others)


def _parameters(options: PrepareOptions, table: dict[str, str]) -> Parameters:
    made = {"made": ", ".join(options.made)} if options.made else {}
    return {
        **made,
        "classes": options.classes,
        "exif": options.exif,
        "limit": options.limit,
        "max_rejected": options.max_rejected,
        "shard_bytes": options.shard_bytes,
        "synsets_sha256": hashlib.sha256(msgspec.json.encode(table, order="deterministic")).hexdigest(),
    }


@contextmanager
def _rejects_kept(out: str) -> Iterator[None]:
    """If the dataset is refused, write rejects.parquet to `out`, unless other files are there."""
    try:
        yield
    except RefusedError as error:
        if exists(manifest_uri(out)) or (list_files(out) and not is_folder(work_folder(out))):
            raise
        error.counts.limit_rejects()
        write(f"{work_folder(out)}/refused.txt", str(error).encode())
        write_rejects(f"{out}/rejects.parquet", error.counts.rejects)
        which = f"the first {MOST_LISTED:,} of each reason" if error.counts.unlisted else "all of them"
        listed = f" ({out}/rejects.parquet lists {which})" if error.counts.rejects else ""
        raise DataError(f"{error}{listed}") from None


@contextmanager
def _progress(out: str, shards: int) -> Iterator[None]:
    """A bar on stderr while shards are written, by whichever process."""
    from data_prep.beam.progress import advancing

    with tqdm(total=shards, desc="prepare", unit="shard", file=sys.stderr) as bar:

        def advance() -> None:
            finished = sum(path.endswith(".json") for path in list_files(f"{work_folder(out)}/shards"))
            bar.update(finished - bar.n)

        with advancing(advance):
            yield
