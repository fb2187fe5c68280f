"""The rule that keeps held-out images, COCO's val2017 among them, out of training.

By ids: `merge` asks it of copies whose ids or file name each other. By what they show: `prepare` and `audit` ask it of
training images that show a held-out one.
"""

from collections.abc import Sequence

from data_prep.sources.images import SourceImage

COCO = "coco"
TRAIN = "train"


def why_not_in_training(image: SourceImage, matches: Sequence[SourceImage]) -> str | None:
    """Why an image that is a copy of `matches` is excluded, and does not join the first of them: a training image and a
    held-out image never become one. The reason's code; None if it may join."""
    first = matches[0]
    if first.split == TRAIN and any(match.split != TRAIN for match in matches):
        return "also_in_val"
    if first.split == TRAIN and image.split != TRAIN:
        return "val_in_train"
    if first.source == image.source and first.path == image.path:
        return "val_in_train"
    return None


def is_kept(source: str, held_out_source: str | None) -> bool:
    """Whether a training image of `source` stays in training although it shows a held-out image of `held_out_source`.

    COCO's training images are never excluded, so that AP stays comparable with published figures. Near-duplicates
    within one source stay as well: its publisher made the split. `held_out_source` is None for a file of which no
    source is known: then only COCO's stay.
    """
    return source in (COCO, held_out_source)
