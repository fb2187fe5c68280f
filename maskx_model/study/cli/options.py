"""The options that both studies share."""

from dataclasses import dataclass, replace
from typing import Annotated

from tyro.conf import arg

from data_prep.arguments import Number, optional
from maskx_model.cli.arguments import MaskLearningRate, as_preset, with_learning_rate
from maskx_model.run_config import RunConfig

Numbers = Annotated[tuple[int, ...], arg(metavar="N …")]


@dataclass(frozen=True)
class HeadOptions:
    """The training of each mask head.

    Attributes:
        steps: Number of steps; the preset's milestones move with it. A preset's 90,000 are for one model: here each
            variant, fold and seed takes that number. Detectors, and models that are trained end to end, keep the
            preset's steps.
        learning_rate: The highest learning rate, after the warm-up; without it the preset's first.
        rois_at_most: Maximum number of boxes to train on, of images in a random order.
        jobs: Number of heads trained at once, one thread each.
    """

    steps: Annotated[int | None, as_preset("N", "stage2.steps")] = None
    learning_rate: MaskLearningRate = None
    rois_at_most: Number = 40_000
    jobs: Annotated[int | None, optional("N", "one for each core, or one on a GPU")] = None

    def applied_to(self, preset: RunConfig, source: str | None) -> RunConfig:
        """The preset with these options and with the source of the masks."""
        schedule = with_learning_rate(preset.stage2, self.learning_rate)
        if self.steps is not None:
            schedule = schedule.of_steps(self.steps)
        return replace(preset, stage2_source=source or preset.stage2_source, stage2=schedule)
