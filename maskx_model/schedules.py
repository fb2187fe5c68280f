"""The typed configuration of a training. Defaults are the paper's (§4.1) unless a line differs."""

import math
from dataclasses import dataclass, replace
from typing import Literal, Self

from data_prep.storage.errors import ConfigError
from maskx_model.config import PLAIN, Compute
from maskx_model.ranges import CROPS, MASK_SCHEDULE, SCHEDULE, check_ranges

RoiKind = Literal["proposals", "gt", "jittered"]
MaskTargets = Literal["masks", "grabcut"]


@dataclass(frozen=True)
class Schedule:
    """One stage's training."""

    steps: int
    """Updates of the weights. Where it alone changes, the milestones move along."""
    images_per_batch: int = 16
    """Images of one step."""
    learning_rates: tuple[float, ...] = (0.02,)
    """The highest learning rate, after the warm-up. Stage 2 takes more than one: each is tried, and the one with the
    lowest loss on held-out images of A is chosen."""
    optimizer: Literal["sgd", "adamw"] = "sgd"
    """What turns gradients into updates."""
    momentum: float = 0.9
    """Of `sgd`."""
    weight_decay: float = 1e-4
    """Fraction of a weight that the optimizer subtracts from it at each step, times the learning rate."""
    warmup_steps: int = 500
    """Steps before the highest learning rate is reached: linear, from a third of the learning rate."""
    decay: Literal["steps", "cosine"] = "steps"
    """How the learning rate falls: at the milestones, or with a cosine to 0."""
    milestones: tuple[int, ...] = ()
    """Steps after which the learning rate is multiplied by 0.1 (decay `steps`)."""
    clip_norm: float | None = None
    """Norm above which gradients are scaled down; None leaves them as they are."""
    accumulate: int = 1
    """Parts in which a rank takes its images of a step, one after the other, where they do not fit into memory at once;
    a divisor of their number. The losses are the mean of the parts'."""
    average: float | None = None
    """Decay of an exponential moving average of the weights, such as 0.999, which the trained model then has; None for
    the weights of the last step."""
    flip: bool = True
    """Mirror every other image, at random."""
    group_by_shape: bool = False
    """Images wider than high, and the others, in batches of their own: less padding. Each comes as often as before."""
    scaled_decoding: bool = False
    """Decode a JPEG at 1/2, 1/4 or 1/8 of its size where the network's is smaller still: faster, and pixels differ a
    little. Boxes and masks follow."""
    jitter: float = 0.0
    """Show each image at 1/(1 + jitter) to 1 + jitter times its size, at random: a part of it, or all with an edge
    around it; 0 shows it as it is."""
    repeat_threshold: float = 0.0
    """Repeat the images of classes that a smaller fraction of the images shows, sqrt(threshold / fraction) times an
    epoch (Gupta et al. 2019, LVIS); theirs is 0.001, 0 repeats none."""
    max_set_aside: float = 0.01
    """Fraction of the images that may turn out to be damaged during training; others take their places, and where each
    is read once they are left out. With more of them it stops."""
    checkpoint_every: int = 250
    """Steps between two checkpoints, from which an interrupted training resumes."""
    log_every: int = 20
    """Steps between two lines of metrics."""
    validate_every: int | None = None
    """Steps between two looks at AP on some validation images; None for none. AP on A chooses the best checkpoint."""
    validate_images: int = 100
    """Validation images of such a look, the first of the split."""
    compute: Compute = PLAIN
    """How this training is computed."""

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ConfigError(f"steps: at least one is needed, got {self.steps}")
        if not self.learning_rates or not all(0 <= rate < math.inf for rate in self.learning_rates):
            raise ConfigError(f"learning_rates: numbers from 0 are needed, got {self.learning_rates}")
        if any(milestone < 1 for milestone in self.milestones):
            raise ConfigError(f"milestones: they are steps, from 1, got {self.milestones}")
        if self.average is not None and not 0 < self.average < 1:
            raise ConfigError(f"average: a decay between 0 and 1 is needed, got {self.average}")
        if self.clip_norm is not None and self.clip_norm <= 0:
            raise ConfigError(f"clip_norm: a norm above 0 is allowed, as 0 would stop training, got {self.clip_norm}")
        check_ranges(self, SCHEDULE)

    def of_steps(self, steps: int) -> Self:
        """The same over so many steps: milestones move with them; the warm-up stays, but takes a tenth at most."""
        moved = (milestone * steps // self.steps for milestone in self.milestones)
        milestones = tuple(milestone for milestone in moved if 0 < milestone < steps)  # none in a run of one step
        warmup = min(self.warmup_steps, max(self.warmup_steps * steps // self.steps, steps // 10))
        return replace(self, steps=steps, milestones=milestones, warmup_steps=warmup)


@dataclass(frozen=True)
class MaskSchedule(Schedule):
    """Stage 2's training (§3.2: features and box head frozen)."""

    rois: RoiKind = "proposals"
    """What trains the mask head. `proposals`: what the detector finds, as in the paper. `gt`: ground-truth boxes.
    `jittered`: those, with each side moved by up to a tenth of the box. Only of objects with masks, in every case."""
    targets: MaskTargets = "masks"
    """What it is trained towards: annotated masks of A, or `grabcut`, those that GrabCut makes of ground-truth boxes of
    all classes (Table 2). No annotated mask is used then, and each of GrabCut's weighs 1."""
    made_mask_weight: float = 1.0
    """Weight in the loss of masks that a model made, as their provenance says; that of people's is 1. It holds end to
    end too."""
    min_mask_score: float = 0.0
    """Masks that a model made and scores lower are left out; those without a score are kept. It holds end to end
    too."""
    cache_rois: bool = False
    """Compute the frozen RoI features once and train from memory (small models only): no flips, and each object's
    ground-truth box and `cached_proposals` of its proposals instead of the detector's own sampling."""
    cached_proposals: int = 1
    """With rois `jittered`: as many jittered boxes of each object, and one more in place of the ground truth's."""
    rois_per_batch: int = 48
    """RoIs of one step, when they are cached."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.accumulate != 1:
            raise ConfigError(f"accumulate: the RoIs of stage 2 are taken at once, 1 is allowed, got {self.accumulate}")
        if not 0 <= self.made_mask_weight <= 1:
            raise ConfigError(f"made_mask_weight: a weight from 0 to 1 is needed, got {self.made_mask_weight}")
        if not 0 <= self.min_mask_score <= 1:
            raise ConfigError(f"min_mask_score: a score lies between 0 and 1, got {self.min_mask_score}")
        check_ranges(self, MASK_SCHEDULE)
        unread = {"group_by_shape", "scaled_decoding", "jitter", "repeat_threshold"}
        if self.cache_rois and (changed := sorted(name for name in unread if getattr(self, name))):
            raise ConfigError(
                f"{changed[0]}: with cache_rois each image is read once and as it is, so this would do nothing; leave "
                "it out, or set cache_rois to false"
            )


@dataclass(frozen=True)
class CropSchedule:
    """What comes before a training of a new detector that has no ImageNet weights to begin with (not in the paper):
    it learns to classify crops of annotated boxes."""

    steps: int = 0
    """Updates of the weights; 0 leaves it out."""
    crops_per_batch: int = 64
    """Crops of one step."""
    size: int = 48
    """Side of a crop, pixels; boxes of all shapes are scaled to it."""
    learning_rate: float = 5e-3
    """The highest learning rate (AdamW). It is reached after a seventh of the steps, and falls with a cosine to 0."""
    weight_decay: float = 0.01
    """Fraction of a weight that the optimizer subtracts from it at each step, times the learning rate."""

    def __post_init__(self) -> None:
        check_ranges(self, CROPS)

    def schedule(self) -> Schedule:
        """As the training loop takes it; raises ConfigError where there are no steps."""
        return Schedule(
            steps=self.steps,
            images_per_batch=self.crops_per_batch,
            learning_rates=(self.learning_rate,),
            optimizer="adamw",
            weight_decay=self.weight_decay,
            warmup_steps=self.steps // 7,
            decay="cosine",
        )


NO_CROPS = CropSchedule()
