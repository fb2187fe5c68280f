"""The numbers that a configuration may hold, each range with its reason."""

import math
from collections.abc import Mapping
from typing import NamedTuple

from data_prep.storage.errors import ConfigError


class Range(NamedTuple):
    """The least and the greatest number that are allowed, and why."""

    least: float
    most: float
    why: str


_FRACTION = "it is a fraction, from 0 to 1"
_COUNT = "it counts, from 1"

DETECTOR = {
    "min_size": Range(32, math.inf, "one cell of the coarsest level of the feature pyramid covers 32 pixels"),
    "max_size": Range(32, math.inf, "one cell of the coarsest level of the feature pyramid covers 32 pixels"),
    "fpn_channels": Range(1, math.inf, _COUNT),
    "box_dim": Range(1, math.inf, _COUNT),
    "rois_per_image": Range(1, math.inf, _COUNT),
    "positive_fraction": Range(0, 1, _FRACTION),
    "box_loss_weight": Range(0, math.inf, "a negative weight would reward wrong boxes"),
    "rpn_proposals_train": Range(1, math.inf, _COUNT),
    "rpn_proposals_test": Range(1, math.inf, _COUNT),
    "score_threshold": Range(0, 1, "a score is a probability, from 0 to 1"),
    "nms_threshold": Range(0, 1, "an IoU lies between 0 and 1"),
    "detections_per_image": Range(1, math.inf, _COUNT),
}
SCHEDULE = {
    "images_per_batch": Range(1, math.inf, "a step needs an image"),
    "momentum": Range(0, 1, _FRACTION),
    "weight_decay": Range(0, math.inf, "a negative decay lets weights grow without end"),
    "jitter": Range(0, 9, "0 is none, and at 10 times its size an image shows nothing whole"),
    "repeat_threshold": Range(0, 1, _FRACTION),
    "max_set_aside": Range(0, 1, _FRACTION),
    "warmup_steps": Range(0, math.inf, "0 is no warm-up"),
    "checkpoint_every": Range(1, math.inf, "it is a number of steps"),
    "accumulate": Range(1, math.inf, "1 takes all images at once"),
    "log_every": Range(1, math.inf, "it is a number of steps"),
    "validate_every": Range(1, math.inf, "it is a number of steps"),
    "validate_images": Range(1, math.inf, "AP needs an image"),
}
MASK_SCHEDULE = {
    "cached_proposals": Range(0, math.inf, "0 is the ground-truth box alone"),
    "rois_per_batch": Range(1, math.inf, "a step needs a RoI"),
}
CROPS = {
    "steps": Range(0, math.inf, "0 is none"),
    "crops_per_batch": Range(2, math.inf, "batch norm cannot train on a single crop"),
    "size": Range(32, math.inf, "one cell of the coarsest level of the feature pyramid covers 32 pixels"),
    "learning_rate": Range(0, math.inf, "a negative one would raise the loss"),
    "weight_decay": Range(0, math.inf, "a negative decay lets weights grow without end"),
}
COMPUTE = {"threads": Range(1, math.inf, _COUNT)}
PASSES = {"least_steps": Range(1, math.inf, "it is a number of steps")}
DATA = {
    "classes": Range(1, math.inf, "a detector needs a class to tell from background"),
    "max_rejected": Range(0, 1, _FRACTION),
    "toy_images": Range(1, math.inf, _COUNT),
    "toy_val_images": Range(1, math.inf, _COUNT),
}
EVALUATION = {"max_images": Range(1, math.inf, "AP needs an image")}

_POINTS = "AP is counted in percent points, from 0 to 100"
GATES = {
    "a_tolerance": Range(0, 100, _POINTS),
    "b_gain": Range(0, 100, _POINTS),
    "over_baseline": Range(0, 100, _POINTS),
    "max_seconds": Range(1e-3, math.inf, "no image takes less"),
    "max_memory": Range(1e-3, math.inf, "no model takes less"),
}


def check_ranges(owner: object, ranges: Mapping[str, Range]) -> None:
    """Raise ConfigError for the first of the owner's numbers that lies outside its range; None is not checked."""
    for name, (least, most, why) in ranges.items():
        value = getattr(owner, name)
        if value is not None and not least <= value <= most:
            allowed = f"{least:g} or more" if most == math.inf else f"{least:g} to {most:g}"
            raise ConfigError(f"{name}: {allowed} is allowed ({why}), got {value}")
