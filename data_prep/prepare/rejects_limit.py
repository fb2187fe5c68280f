"""Whether too much of a source is broken, and the proof that no object was lost."""

from data_prep.format.rejects import allowed_rejects
from data_prep.sources.counts import Counts, RefusedError, increase, top_rejects
from data_prep.sources.reasons import EXCLUDED_OBJECTS

_NAMES = {"photograph": "images", "object": "objects"}


def check_ceiling(total: Counts, max_rejected: float) -> None:
    """Raise RefusedError for a source with more broken images or objects than `allowed_rejects` allows for the
    fraction `max_rejected`, 0 to 1, or whose boxes as a whole are not COCO's."""
    for source, images in total.images.items():
        listed = {"photograph": images, "object": total.objects.get(source, 0)}
        for kind, number in listed.items():
            rejects = [reject for reject in total.rejects if reject.source == source and reject.kind == kind]
            if len(rejects) > allowed_rejects(number, max_rejected):
                raise RefusedError(
                    f"source {source}: {len(rejects)} of {number} {_NAMES[kind]} are broken, more than the allowed "
                    f"{max_rejected:.1%}: {top_rejects(rejects)}; repair the source or raise --max-rejected",
                    total,
                )
    for source, boxes in total.boxes.items():
        if trouble := boxes.trouble():
            raise RefusedError(f"source {source}: {trouble}; write them anew", total)


def check_nothing_lost(total: Counts) -> None:
    """Raise RuntimeError unless objects listed = included + excluded + rejected, for every source: anything else is a
    mistake in this program."""
    rejected: dict[str, int] = {}
    for reject in total.rejects:
        increase(rejected, reject.source, int(reject.kind == "object"))
    for source, objects in total.objects.items():
        excluded = sum(total.excluded.get(source, {}).get(reason, 0) for reason in EXCLUDED_OBJECTS)
        accounted = total.included.get(source, 0) + excluded + rejected.get(source, 0)
        if accounted != objects:
            raise RuntimeError(f"source {source}: {objects} objects came in, {accounted} are accounted for")
