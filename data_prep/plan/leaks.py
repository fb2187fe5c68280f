"""The rule on training images that show a held-out image: which of them stay. `prepare` and `audit` share it."""

from data_prep.plan.merge import COCO


def is_kept(source: str, held_out_source: str | None) -> bool:
    """Whether a training image of `source` stays in training although it shows a held-out image of `held_out_source`.

    COCO's training images are never excluded, so that AP stays comparable with published figures. Near-duplicates
    within one source stay as well: its publisher made the split. `held_out_source` is None for a file of which no
    source is known: then only COCO's stay.
    """
    return source in (COCO, held_out_source)
