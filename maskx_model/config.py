"""The typed configuration of a model and its training. Defaults are the paper's (§4.1) unless a line differs."""

from dataclasses import dataclass
from typing import Literal

from data_prep.format.errors import ConfigError

MaskKind = Literal["transfer", "class_agnostic", "class_specific"]
TransferInput = Literal["cls", "box", "cls+box", "randn"]


@dataclass(frozen=True)
class DetectorConfig:
    """Faster R-CNN with FPN."""

    backbone: Literal["slim", "resnet50", "resnet101"] = "resnet50"
    """`slim` is a small ResNet for the toy world, trained from scratch with its own batch norm."""
    weights: str | None = "IMAGENET1K_V1"
    """ImageNet weights of the backbone: torchvision's name for them, a local file, or None for random ones."""
    min_size: int = 800
    """Shorter side of the image, pixels."""
    max_size: int = 1333
    """Longer side of the image at most, pixels."""
    fpn_channels: int = 256
    anchor_sizes: tuple[int, ...] = (32, 64, 128, 256, 512)
    """Anchor side in pixels for each pyramid level."""
    box_dim: int = 1024
    """Width of the box head: w_cls has this many numbers per class, w_box four times as many."""
    box_head: Literal["mlp", "pooled"] = "mlp"
    """`mlp`: two fully connected layers. `pooled`: ours, for small detectors trained from scratch."""
    rois_per_image: int = 512
    positive_fraction: float = 0.25
    box_loss_weight: float = 1.0
    """Weight of the box-regression losses against the classification ones."""
    rpn_proposals_train: int = 2000
    rpn_proposals_test: int = 1000
    score_threshold: float = 0.05
    nms_threshold: float = 0.5
    detections_per_image: int = 100

    def __post_init__(self) -> None:
        levels = 3 if self.backbone == "slim" else 5
        if len(self.anchor_sizes) != levels:
            raise ConfigError(
                f"anchor_sizes: backbone {self.backbone} has {levels} levels, got {len(self.anchor_sizes)} sizes"
            )


@dataclass(frozen=True)
class MaskConfig:
    """The mask branch: how w_seg comes about, and what it is applied to (§3.1, §3.3, §3.4)."""

    kind: MaskKind = "transfer"
    """`transfer`: w_seg = T(w_det). `class_agnostic`: one w_seg for all (§3.3). `class_specific`: one learned per
    class, Mask R-CNN's own way; with masks of all classes it is the oracle (§4.1)."""
    transfer_input: TransferInput = "cls+box"
    """What T sees of a class (Table 1a)."""
    transfer_layers: int = 2
    """Fully connected layers of T (Table 1b)."""
    transfer_hidden: int = 256
    activation: Literal["leaky_relu", "relu"] = "leaky_relu"
    """Between T's layers; the leaky slope is 0.1."""
    mlp: bool = True
    """Add the logits of the class-agnostic MLP (§3.4, Table 1c)."""
    shared_bias: bool = False
    """One learned bias for all classes. The paper's predicted convolution has none."""
    convolutions: int = 4
    """3×3 convolutions before the deconvolution."""
    channels: int = 256
    """Channels of the mask feature F, and length of w_seg."""

    def __post_init__(self) -> None:
        if self.transfer_layers < 1:
            raise ConfigError(f"transfer_layers: T needs at least one layer, got {self.transfer_layers}")


@dataclass(frozen=True)
class ModelConfig:
    """A whole Mask^X R-CNN; `mask` is None for a detector alone (stage 1)."""

    detector: DetectorConfig
    mask: MaskConfig | None = None


@dataclass(frozen=True)
class Schedule:
    """One stage's training."""

    steps: int
    images_per_batch: int = 16
    learning_rates: tuple[float, ...] = (0.02,)
    """More than one: each is tried, and the one with the lowest loss on photographs of A held back is kept."""
    optimizer: Literal["sgd", "adamw"] = "sgd"
    momentum: float = 0.9
    weight_decay: float = 1e-4
    warmup_steps: int = 500
    """Linear, from a third of the learning rate."""
    decay: Literal["steps", "cosine"] = "steps"
    milestones: tuple[int, ...] = ()
    """Steps after which the learning rate is multiplied by 0.1 (decay `steps`)."""
    clip_norm: float | None = None
    flip: bool = True
    """Mirror every other photograph, at random."""
    checkpoint_every: int = 1000
    log_every: int = 20

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ConfigError(f"steps: at least one is needed, got {self.steps}")


@dataclass(frozen=True)
class MaskSchedule(Schedule):
    """Stage 2's training (§3.2: features and box head frozen)."""

    cache_rois: bool = False
    """Compute the frozen RoI features once and train from memory (small models only): no flips, and each object's
    ground-truth box and `cached_proposals` of its proposals instead of the detector's own sampling."""
    cached_proposals: int = 1
    rois_per_batch: int = 48
    """RoIs of one step, when they are cached."""
