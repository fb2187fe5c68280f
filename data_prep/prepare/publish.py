"""From finished shards to a finished dataset: counts, rejects, vocabulary, index, and the manifest last."""

import re
from collections.abc import Iterable, Mapping

from data_prep.format.index import write_index
from data_prep.format.manifest import FORMAT_VERSION, HeldOut, Manifest, write_manifest
from data_prep.format.rejects import write_rejects
from data_prep.format.vocabulary import Vocabulary, write_vocabulary
from data_prep.plan.held_out_rule import TRAIN
from data_prep.plan.plan import require_own, work_folder
from data_prep.plan.planning import Planned
from data_prep.prepare.notes import note_classes, note_objects, note_same_images
from data_prep.prepare.rejects_limit import check_ceiling, check_nothing_lost
from data_prep.prepare.vocabulary import ClassCount, ClassCounts, build_vocabulary
from data_prep.shards.results import ShardSummary, read_own_summary, read_rows
from data_prep.sources.counts import Counts, RefusedError, increase, numbers, top_rejects
from data_prep.storage.storage import list_files, remove, remove_folder, sha256

_SHARD = re.compile(r"(?P<split>[^/]+)/(?P<part>[^/.]+)-\d{6,}\.tar")
_PARTIAL = re.compile(r"(?P<split>[^/]+)/\.[^/]+-\d{6,}\.tar\.\d+\.partial")

Parameters = dict[str, str | int | float | bool | None]


def publish(
    planned: Planned,
    scanned: Counts,
    table: Mapping[str, str],
    parameters: Parameters,
    classes: int | None,
    max_rejected: float,
) -> Manifest:
    """Complete the dataset from the shards' results; `scanned` was counted while reading the annotation files.

    Raises RefusedError, and writes nothing more, if more than `max_rejected` of a source's images or objects were
    rejected; DataError if there are fewer synsets than `classes`, or if another run writes to the same place.
    """
    out = planned.plan.out
    results = [read_own_summary(planned.plan, number) for number in range(len(planned.plan.shards))]
    total = total_counts(planned, scanned, results)
    check_ceiling(total, max_rejected)
    check_nothing_lost(total)
    filled = [result for result in results if result.shard.samples]
    if not filled:
        raise RefusedError(f"{out}: not one image can be used; {top_rejects(total.rejects)}", total)
    class_counts = count_classes(filled)
    vocabulary = build_vocabulary(planned.classes, table, total.synsets, class_counts, classes)
    _count_outside(total, class_counts, vocabulary)
    note_classes(total, planned.classes, table, class_counts)
    note_objects(total, filled, class_counts)
    note_same_images(total, planned.plan, len(results))
    require_own(planned.plan)
    _remove_strays(planned, filled)
    write_vocabulary(f"{out}/vocabulary.json", vocabulary)
    rows = (row for number in range(len(results)) for row in read_rows(planned.plan, number))
    write_index(f"{out}/index.parquet", rows)
    write_rejects(f"{out}/rejects.parquet", total.rejects)
    manifest = Manifest(
        version=FORMAT_VERSION,
        sources=planned.sources,
        parameters=parameters,
        counts=_counts_by_part(filled),
        left_out=total.excluded,
        rejected=total.rejected(),
        repaired=numbers(total.repaired),
        noted=numbers(total.noted),
        files={name: sha256(f"{out}/{name}") for name in ("vocabulary.json", "index.parquet", "rejects.parquet")},
        shards=tuple(result.shard for result in filled),
        held_out=_held_out(planned, results),
    )
    require_own(planned.plan)
    write_manifest(out, manifest)
    remove_folder(work_folder(out))
    return manifest


def _held_out(planned: Planned, results: list[ShardSummary]) -> tuple[HeldOut, ...]:
    """The images that left training, by their content or else by their ids."""
    by_content = [image for result in results for image in result.held_out]
    known = {(image.source, image.id) for image in by_content}
    return tuple(sorted(by_content + [image for image in planned.held_out if (image.source, image.id) not in known]))


def total_counts(planned: Planned, scanned: Counts, results: list[ShardSummary]) -> Counts:
    """What was counted while planning, while reading the annotation files and while building the shards."""
    total = Counts()
    for counts in (planned.counts, scanned, *(result.counts for result in results)):
        total.add(counts)
    total.limit_rejects()
    return total


def count_classes(results: list[ShardSummary]) -> ClassCounts:
    """What each source has of each class in the shards."""
    objects = _sums(result.content.objects for result in results)
    masks = _sums(result.content.masks for result in results)
    training = _sums(result.content.object_masks for result in results if result.shard.split == TRAIN)
    return {
        source: {
            name: ClassCount(number, *(part.get(source, {}).get(name, 0) for part in (masks, training)))
            for name, number in classes.items()
        }
        for source, classes in objects.items()
    }


def _sums(counts: Iterable[Mapping[str, Mapping[str, int]]]) -> dict[str, dict[str, int]]:
    """The sums of numbers by source and class."""
    sums: dict[str, dict[str, int]] = {}
    for each in counts:
        for source, classes in each.items():
            for name, number in classes.items():
                increase(sums.setdefault(source, {}), name, number)
    return sums


def _count_outside(total: Counts, counts: ClassCounts, vocabulary: Vocabulary) -> None:
    """Count the objects of classes outside the vocabulary as excluded."""
    for source, classes in counts.items():
        known = vocabulary.index(source)
        outside = sum(count.objects for name, count in classes.items() if name not in known)
        if outside:
            total.exclude(source, "outside_vocabulary", outside)


def _counts_by_part(results: list[ShardSummary]) -> dict[str, dict[str, dict[str, int]]]:
    """Split → part → what → number."""
    counts: dict[str, dict[str, dict[str, int]]] = {}
    for result in results:
        own = counts.setdefault(result.shard.split, {}).setdefault(result.shard.part, {})
        for what, number in result.content.what.items():
            increase(own, what, number)
    return counts


def _remove_strays(planned: Planned, results: list[ShardSummary]) -> None:
    """Remove shards that the dataset does not name: without an image, or of an earlier run that was interrupted.

    Those are the tars with a result in the work folder, those named as this plan's shards are, and the parts of any
    that killed workers left. Other tars stay.
    """
    out = planned.plan.out
    wanted = {result.shard.path for result in results}
    finished = {path.removesuffix(".json") for path in list_files(f"{work_folder(out)}/shards")}
    splits, sources = {shard.split for shard in planned.plan.shards}, {source.name for source in planned.sources}

    def is_ours(path: str) -> bool:
        if part := _PARTIAL.fullmatch(path):
            return part["split"] in splits
        named = _SHARD.fullmatch(path)
        return named is not None and named["split"] in splits and sources.issuperset(named["part"].split("+"))

    for path in list_files(out):
        if path not in wanted and (path in finished or is_ours(path)):
            remove(f"{out}/{path}")
