"""A training of one stage as a value, which travels to the ranks that train: to other processes and other pods."""

from typing import Literal, cast

import msgspec

from maskx_model.config import MaskKind
from maskx_model.configure.choose import choose
from maskx_model.registry.live_training import FollowedTraining, followed
from maskx_model.training.stages import train_detector, train_masks


class StageTraining(msgspec.Struct, frozen=True):
    """What to train, all of it by URI.

    `config`: the run's whole configuration as YAML. `tracking_uri`: MLflow's, empty for none; `experiment`: that of the
    training's run there. `detector`, `kind`: stage 2's, as `train_masks` has them.
    """

    stage: Literal["stage1", "stage2"]
    dataset: str
    out: str
    config: str
    tracking_uri: str = ""
    experiment: str = "maskx"
    detector: str = ""
    kind: str = ""

    def to_json(self) -> str:
        """As an argument of a command."""
        return msgspec.json.encode(self).decode()


def train_here(training: StageTraining) -> None:
    """Train in this process: alone, or as one of the ranks that torchrun started.

    Returns at once if the model is finished. Raises what the stages raise (`maskx_model.training.stages`).
    """
    run = choose(config=training.config)
    kind = cast(MaskKind, training.kind)
    options = {"kind": kind, "detector": training.detector} if training.stage == "stage2" else {}
    following = FollowedTraining(training.stage, training.dataset, training.out, run, options)
    with followed(following, training.tracking_uri, training.experiment) as observers:
        if training.stage == "stage1":
            train_detector(training.dataset, training.out, run, observers=observers)
        else:
            train_masks(training.dataset, training.detector, training.out, run, kind=kind, observers=observers)
