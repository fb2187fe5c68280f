"""Whether too much of a source is broken, and the proof that no object was lost."""

from data_prep.format.rejects import Kind, allowed_rejects
from data_prep.sources.counts import Counts, RefusedError, top_rejects
from data_prep.sources.reasons import EXCLUDED_OBJECTS

_NAMES: dict[Kind, str] = {"photograph": "images", "object": "objects"}


def check_ceiling(total: Counts, max_rejected: float) -> None:
    """Raise RefusedError for a source with more broken images or objects than `allowed_rejects` allows for the
    fraction `max_rejected`, 0 to 1, or whose boxes as a whole are not COCO's."""
    for source, images in total.images.items():
        listed = {"photograph": images, "object": total.objects.get(source, 0)}
        for kind, name in _NAMES.items():
            number, reasons = listed[kind], total.numbers_rejected(source, kind)
            broken = sum(reasons.values())
            if broken > allowed_rejects(number, max_rejected):
                rejects = (reject for reject in total.rejects if reject.source == source and reject.kind == kind)
                raise RefusedError(
                    f"source {source}: {broken} of {number} {name} are broken, more than the allowed "
                    f"{max_rejected:.1%}: {top_rejects(rejects, reasons)}; repair the source or raise --max-rejected",
                    total,
                )
    for source, boxes in total.boxes.items():
        if trouble := boxes.trouble():
            raise RefusedError(f"source {source}: {trouble}; write them anew", total)


def check_nothing_lost(total: Counts) -> None:
    """Raise RuntimeError unless objects listed = included + excluded + rejected, for every source: anything else is a
    mistake in this program."""
    for source, objects in total.objects.items():
        excluded = sum(total.excluded.get(source, {}).get(reason, 0) for reason in EXCLUDED_OBJECTS)
        rejected = sum(total.numbers_rejected(source, "object").values())
        accounted = total.included.get(source, 0) + excluded + rejected
        if accounted != objects:
            raise RuntimeError(f"source {source}: {objects} objects came in, {accounted} are accounted for")
