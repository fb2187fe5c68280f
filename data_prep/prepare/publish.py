"""From finished shards to a finished dataset: counts, rejects, vocabulary, index, and the manifest last."""

import re
from collections.abc import Mapping

from data_prep.format.index import write_index
from data_prep.format.manifest import FORMAT_VERSION, HeldOut, Manifest, write_manifest
from data_prep.format.rejects import write_rejects
from data_prep.format.vocabulary import Vocabulary, write_vocabulary
from data_prep.plan.plan import work_folder
from data_prep.plan.planning import Planned, top_rejects
from data_prep.prepare.vocabulary import build_vocabulary
from data_prep.shards.build_record import ShardCounts
from data_prep.shards.write import ShardSummary, read_rows, read_summary
from data_prep.sources.counts import Counts, Tally, increase
from data_prep.sources.reasons import LEFT_OUT_OBJECTS
from data_prep.storage.errors import DataError
from data_prep.storage.storage import list_files, remove, remove_folder, sha256

# A set of a few images is not refused for a handful of broken records: that many, but never above a quarter.
ALWAYS_ALLOWED = 10
NEVER_ALLOWED = 4

# A shard, or the part of one that a killed worker left.
_TAR = re.compile(r"[^/]+/[^/]+\.tar(\.\d+\.partial)?")

Parameters = dict[str, str | int | float | bool | None]


def publish(
    planned: Planned,
    scanned: Tally,
    table: Mapping[str, str],
    parameters: Parameters,
    classes: int | None,
    max_rejected: float,
) -> Manifest:
    """Complete the dataset from the shards' results; `scanned` is what reading the annotation files counted.

    Raises DataError, and writes nothing more, if more than `max_rejected` of a source's images or objects were
    rejected, or if there are fewer synsets than `classes`.
    """
    out = planned.plan.out
    results = [read_summary(planned.plan, number) for number in range(len(planned.plan.shards))]
    total = Tally()
    for tally in (planned.tally, scanned, *(result.tally for result in results)):
        total.include(tally)
    check_ceiling(total, max_rejected)
    check_nothing_lost(total)
    kept = [result for result in results if result.shard.samples]
    if not kept:
        raise DataError(f"{out}: not one image can be used; {top_rejects(total.rejects)}")
    counts = _class_counts(kept)
    vocabulary = build_vocabulary(planned.classes, table, total.synsets, counts, classes)
    _count_outside(total, counts, vocabulary)
    _remove_strays(out, kept)
    write_vocabulary(f"{out}/vocabulary.json", vocabulary)
    rows = (row for number in range(len(results)) for row in read_rows(planned.plan, number))
    write_index(f"{out}/index.parquet", rows)
    write_rejects(f"{out}/rejects.parquet", total.rejects)
    manifest = Manifest(
        version=FORMAT_VERSION,
        sources=planned.sources,
        parameters=parameters,
        counts=_counts(kept),
        left_out=total.left_out,
        rejected=total.rejected(),
        files={name: sha256(f"{out}/{name}") for name in ("vocabulary.json", "index.parquet", "rejects.parquet")},
        shards=tuple(result.shard for result in kept),
        held_out=_held_out(planned, results),
    )
    write_manifest(out, manifest)
    remove_folder(work_folder(out))
    return manifest


def _held_out(planned: Planned, results: list[ShardSummary]) -> tuple[HeldOut, ...]:
    """What left training by its ids and by its content; where the two disagree, that is what is told."""
    seen = [image for result in results for image in result.held_out]
    told = {(image.source, image.id) for image in seen}
    return tuple(sorted(seen + [image for image in planned.held_out if (image.source, image.id) not in told]))


def check_ceiling(total: Tally, max_rejected: float) -> None:
    """Raise DataError for a source of which too much is broken to go on without a look at it."""
    for source, photographs in total.photographs.items():
        listed = {"photograph": photographs, "object": total.objects.get(source, 0)}
        for kind, count in listed.items():
            rejects = [reject for reject in total.rejects if reject.source == source and reject.kind == kind]
            if len(rejects) > allowed_rejects(count, max_rejected):
                raise DataError(
                    f"source {source}: {len(rejects)} of {count} {kind}s are broken, more than the allowed "
                    f"{max_rejected:.1%}: {top_rejects(rejects)}; repair the source or raise --max-rejected"
                )


def allowed_rejects(listed: int, max_rejected: float) -> float:
    """How many of so many listed records may be broken."""
    return max(max_rejected * listed, min(ALWAYS_ALLOWED, listed // NEVER_ALLOWED))


def check_nothing_lost(total: Tally) -> None:
    """Objects in = objects out + left out + rejected, for every source; anything else is a mistake in this program."""
    rejected: dict[str, int] = {}
    for reject in total.rejects:
        increase(rejected, reject.source, int(reject.kind == "object"))
    for source, objects in total.objects.items():
        left_out = sum(total.left_out.get(source, {}).get(reason, 0) for reason in LEFT_OUT_OBJECTS)
        found = total.kept.get(source, 0) + left_out + rejected.get(source, 0)
        if found != objects:
            raise RuntimeError(f"source {source}: {objects} objects came in, {found} are accounted for")


def _class_counts(results: list[ShardSummary]) -> dict[str, dict[str, tuple[int, int]]]:
    """Source → class → (objects, masks)."""
    objects: dict[str, dict[str, int]] = {}
    masks: dict[str, dict[str, int]] = {}
    for result in results:
        for total, own in ((objects, result.counts.objects), (masks, result.counts.masks)):
            for source, classes in own.items():
                for name, count in classes.items():
                    increase(total.setdefault(source, {}), name, count)
    return {
        source: {name: (count, masks.get(source, {}).get(name, 0)) for name, count in classes.items()}
        for source, classes in objects.items()
    }


def _count_outside(total: Tally, counts: dict[str, dict[str, tuple[int, int]]], vocabulary: Vocabulary) -> None:
    for source, classes in counts.items():
        known = vocabulary.index(source)
        outside = sum(objects for name, (objects, _) in classes.items() if name not in known)
        if outside:
            total.leave_out(source, "outside_vocabulary", outside)


def _counts(results: list[ShardSummary]) -> dict[str, Counts]:
    counts: dict[str, Counts] = {}
    for result in results:
        own = counts.setdefault(result.shard.split, {}).setdefault(result.shard.part, {})
        _add_counts(own, result.counts)
    return counts


def _add_counts(own: dict[str, int], counts: ShardCounts) -> None:
    for what, count in counts.what.items():
        increase(own, what, count)


def _remove_strays(out: str, results: list[ShardSummary]) -> None:
    """Remove tars that are none of the dataset's: of an earlier run that was cut off, or without a image."""
    wanted = {result.shard.path for result in results}
    for path in list_files(out):
        if _TAR.fullmatch(path) and path not in wanted:
            remove(f"{out}/{path}")
