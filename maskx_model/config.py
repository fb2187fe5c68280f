"""The typed configuration of a model. Defaults are the paper's (§4.1) unless a line differs."""

import math
from dataclasses import dataclass
from typing import Literal

from data_prep.storage.errors import ConfigError
from maskx_model.ranges import COMPUTE, DETECTOR, check_ranges

MaskKind = Literal["transfer", "class_agnostic", "class_specific"]
TransferInput = Literal["cls", "box", "cls+box", "randn", "embedding"]
TransferScale = Literal["none", "unit", "standard"]
Activation = Literal["leaky_relu", "relu"]
MlpBranch = Literal["none", "paper", "light"]
MaskHead = Literal["fcn4", "hourglass"]
ClassificationLossKind = Literal["softmax", "sampled", "federated"]
Precision = Literal["float32", "bf16", "auto"]
ProtocolName = Literal["coco", "lvis"]


@dataclass(frozen=True)
class DetectorConfig:
    """Faster R-CNN with FPN."""

    backbone: Literal["slim", "resnet50", "resnet101"] = "resnet50"
    """The network that makes features of pixels; `slim` is a small ResNet for the toy world, trained from scratch with
    its own batch norm."""
    weights: str | None = "IMAGENET1K_V1"
    """ImageNet weights of the backbone: torchvision's name for them, a local file, or None for random ones."""
    min_size: int = 800
    """Shorter side of the image, pixels."""
    max_size: int = 1333
    """Longer side of the image at most, pixels."""
    fpn_channels: int = 256
    """Channels of each level of the feature pyramid."""
    anchor_sizes: tuple[int, ...] = (32, 64, 128, 256, 512)
    """Anchor side in pixels for each pyramid level."""
    box_dim: int = 1024
    """Width of the box head: w_cls has this many numbers per class, w_box four times as many."""
    box_head: Literal["mlp", "single"] = "mlp"
    """`mlp`: two fully connected layers. `single`: one, with batch norm, for small detectors trained from scratch."""
    rois_per_image: int = 512
    """Proposals of each image that train the box head."""
    positive_fraction: float = 0.25
    """Fraction of these that overlap an object, at most; the others are background."""
    box_loss_weight: float = 1.0
    """Weight of the box-regression losses against the classification ones."""
    classification_loss: ClassificationLossKind = "softmax"
    """`softmax`: over all classes, the paper's. Over some alone, for long-tailed data that is not annotated
    exhaustively: `sampled`, the batch's and some drawn by frequency; `federated`, in each image those of which
    something is known there (`classification_loss.py`)."""
    loss_classes: int = 50
    """How many more classes are drawn (`sampled`; `federated` where a record does not list absent ones). Zhou et al.
    2021 have 50 classes in all."""
    rpn_proposals_train: int = 2000
    """Proposals of each image that remain in training."""
    rpn_proposals_test: int = 1000
    """Proposals of each image that remain at inference."""
    score_threshold: float = 0.05
    """Detections with a lower score are left out."""
    nms_threshold: float = 0.5
    """Of two boxes of a class with a greater IoU, the one with the lower score is left out."""
    detections_per_image: int = 100
    """Detections of an image at most, those with the highest scores."""

    def __post_init__(self) -> None:
        levels = 3 if self.backbone == "slim" else 5
        if len(self.anchor_sizes) != levels:
            raise ConfigError(
                f"anchor_sizes: backbone {self.backbone} has {levels} levels, got {len(self.anchor_sizes)} sizes"
            )
        if self.loss_classes < 1:
            raise ConfigError(f"loss_classes: at least one class is needed, got {self.loss_classes}")
        check_ranges(self, DETECTOR)
        if self.max_size < self.min_size:
            raise ConfigError(
                f"max_size: the longer side is limited to {self.max_size} pixels, less than the shorter side's "
                f"min_size, {self.min_size}"
            )


@dataclass(frozen=True)
class MaskConfig:
    """The mask branch: how w_seg comes about, and what it is applied to (§3.1, §3.3, §3.4)."""

    kind: MaskKind = "transfer"
    """`transfer`: w_seg = T(w_det). `class_agnostic`: one w_seg for all (§3.3). `class_specific`: one learned per
    class, Mask R-CNN's own way; with masks of all classes it is the oracle (§4.1)."""
    transfer_input: TransferInput = "cls+box"
    """What T receives for a class (Table 1a): its rows of the box head, a random vector, or a word vector."""
    embedding_dim: int | None = None
    """Width of the word vectors; set with `transfer_input` `embedding`, and only then."""
    transfer_layers: int = 2
    """Fully connected layers of T (Table 1b)."""
    transfer_hidden: int = 256
    """Width of T's layers but the last."""
    activation: Activation = "leaky_relu"
    """Between T's layers; the leaky slope is 0.1."""
    transfer_scale: TransferScale = "none"
    """How T's input is scaled, cls and box apart: not at all, as in the paper; `unit`, each class's row is divided by
    its norm; `standard`, each column gets mean 0 and the same deviation over the classes, rows a norm of about 1."""
    transfer_dropout: float = 0.0
    """Fraction of the inputs of each of T's layers that is dropped in training."""
    transfer_weight_decay: float | None = None
    """Weight decay of T alone; None: the schedule's, as in the paper. A high one raised AP on B in every toy
    world (STUDIES.md)."""
    stop_gradient: bool = True
    """End to end, the mask loss does not reach w_det through T (§3.2, Table 1d). Stage-wise, w_det is fixed anyway."""
    mlp: MlpBranch = "paper"
    """The class-agnostic MLP whose logits are added (§3.4, Table 1c): the paper's, 157 M parameters, or ours, 1.8 M."""
    shared_bias: bool = False
    """One learned bias for all classes. The paper's predicted convolution has none."""
    class_bias: bool = False
    """A learned bias for each class, as Mask R-CNN has (kind `class_specific` only)."""
    head: MaskHead = "fcn4"
    """From the RoI feature to the mask feature F. `fcn4`: the paper's 3×3 convolutions and a deconvolution.
    `hourglass`: Deep-MAC's deep one behind the deconvolution; its authors use 64 channels."""
    convolutions: int = 4
    """3×3 convolutions before the deconvolution (`fcn4`)."""
    hourglass_layers: Literal[10, 20, 32, 52] = 52
    """Depth of the hourglass, by its published names."""
    channels: int = 256
    """Channels of the mask feature F, and length of w_seg."""

    def __post_init__(self) -> None:
        if self.transfer_layers < 1:
            raise ConfigError(f"transfer_layers: T needs at least one layer, got {self.transfer_layers}")
        for name, least in (("transfer_hidden", 1), ("channels", 1), ("convolutions", 0)):
            if getattr(self, name) < least:
                raise ConfigError(f"{name}: {least} or more are needed, got {getattr(self, name)}")
        if not 0 <= self.transfer_dropout < 1:
            raise ConfigError(f"transfer_dropout: a fraction from 0 to below 1 is needed, got {self.transfer_dropout}")
        if self.transfer_weight_decay is not None and not 0 <= self.transfer_weight_decay < math.inf:
            raise ConfigError(f"transfer_weight_decay: a number from 0 is needed, got {self.transfer_weight_decay}")
        if (self.transfer_input == "embedding") != (self.embedding_dim is not None):
            raise ConfigError(
                f"transfer_input {self.transfer_input!r} with embedding_dim {self.embedding_dim}: word vectors and "
                "their width go together"
            )
        if self.class_bias and self.kind != "class_specific":
            raise ConfigError(f"class_bias: kind {self.kind!r} has no weights of each class; use shared_bias")


@dataclass(frozen=True)
class ModelConfig:
    """A whole Mask^X R-CNN; `mask` is None for a detector alone (stage 1)."""

    detector: DetectorConfig
    mask: MaskConfig | None = None


@dataclass(frozen=True)
class Compute:
    """How a model is computed: what is fastest depends on the machine."""

    precision: Precision = "float32"
    """`bf16`: matrix products and convolutions in bfloat16 (autocast); weights, boxes, softmax and losses stay float32.
    `auto`: so on GPUs that have it (NVIDIA's since Ampere), float32 elsewhere."""
    compile_backbone: bool = False
    """Compile the backbone (torch.compile), which fuses what is not a convolution. It takes one to two minutes at the
    beginning, and needs a C compiler."""
    threads: int | None = None
    """Threads that a CPU computes with; None for a thread for each core. A small network gains little by the second
    one. With their number fixed, machines with any number of cores train the same weights."""

    def __post_init__(self) -> None:
        check_ranges(self, COMPUTE)


PLAIN = Compute()


def check_seed(seed: int) -> None:
    """Raise ConfigError for a seed below 0."""
    if seed < 0:
        raise ConfigError(f"seed: a number from 0 is needed, got {seed}")
