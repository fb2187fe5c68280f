"""The command line's options for the mask branch: the paper's variants, and what came after."""

from dataclasses import dataclass, fields, replace
from typing import Literal

from data_prep.storage.errors import ConfigError
from maskx_model.config import (
    Activation,
    Compute,
    MaskConfig,
    MaskHead,
    MaskKind,
    MlpBranch,
    Precision,
    TransferInput,
    TransferScale,
)

HOURGLASS_CHANNELS = 64


@dataclass(frozen=True)
class MaskOptions:
    """The mask branch. What is not given is as the preset says."""

    kind: MaskKind = "transfer"
    """`transfer` predicts a class's mask weights from its box weights; `class_agnostic`, one for all classes, is the
    baseline; `class_specific` learns each class's own: with masks of all classes the oracle."""
    transfer_input: TransferInput | None = None
    """What the transfer function T sees of a class: its rows of the box head, a fixed random vector (`randn`), or a
    word's vector (`embedding`, with --embedding)."""
    embedding: str | None = None
    """A text file of word vectors as GloVe and word2vec write them. Classes are found by lemma, display name or COCO's
    name; the words of a longer name are averaged where the file has each of them but not the name."""
    transfer_layers: int | None = None
    """Fully connected layers of T."""
    activation: Activation | None = None
    """Between T's layers."""
    transfer_scale: TransferScale | None = None
    """How T's input is scaled: not at all (`none`), each class's rows to norm 1 (`unit`), or each column to mean 0 and
    one deviation over the classes (`standard`)."""
    transfer_dropout: float | None = None
    """Share of the inputs of each of T's layers that is dropped in training."""
    mlp: MlpBranch | None = None
    """The class-agnostic MLP branch: `paper` (157 million weights at 256 channels) or `light` (2 million)."""
    head: MaskHead | None = None
    """The layers before the class weights: the paper's `fcn4`, or the deeper `hourglass`."""
    hourglass_layers: Literal[10, 20, 32, 52] | None = None
    """Depth of the hourglass; 52 by default."""
    channels: int | None = None
    """Channels of the mask feature; with --head hourglass 64 by default."""
    class_bias: bool = False
    """A bias for each class beside its weights (kind `class_specific`)."""

    def mask_config(self, preset: MaskConfig) -> MaskConfig:
        """The preset's mask branch with these changes; raises ConfigError for options that do not go together."""
        given = {field.name for field in fields(self) if getattr(self, field.name) is not None}
        for_t = sorted(given & {"transfer_input", "embedding", "transfer_layers", "activation"})
        for_t += sorted(given & {"transfer_scale", "transfer_dropout"})
        if for_t and self.kind != "transfer":
            raise ConfigError(f"{_option(for_t[0])}: kind {self.kind} has no transfer function")
        if self.class_bias and self.kind != "class_specific":
            raise ConfigError(f"--class-bias: kind {self.kind} has no weights of each class")
        if self.activation is not None and (self.transfer_layers or preset.transfer_layers) == 1:
            raise ConfigError("--activation: stands between layers of T, and there is one layer only")
        if self.hourglass_layers is not None and (self.head or preset.head) != "hourglass":
            raise ConfigError("--hourglass-layers: goes with --head hourglass")
        if (self.transfer_input == "embedding") != (self.embedding is not None):
            raise ConfigError("--transfer-input embedding and --embedding FILE go together; name both or neither")
        changes = {name: getattr(self, name) for name in given - {"embedding"}}
        if self.head == "hourglass":
            changes = {"channels": HOURGLASS_CHANNELS, **changes}
        if self.embedding is not None:
            from maskx_model.data.word_vectors import vector_width

            changes["embedding_dim"] = vector_width(self.embedding)
        return replace(preset, **changes)


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


AS_PRESET = MaskOptions()


@dataclass(frozen=True)
class ComputeOptions:
    """How it is computed. What is not given is as the preset says."""

    precision: Precision | None = None
    """`bf16`: matrix products and convolutions in bfloat16, much faster on a GPU; weights, boxes and losses stay
    float32. `auto`: so on GPUs that have it, float32 elsewhere."""
    compile_backbone: bool = False
    """Compile the backbone, which takes a minute or two at the beginning and needs a C compiler."""

    def of(self, preset: Compute) -> Compute:
        """The preset's with these changes."""
        return Compute(self.precision or preset.precision, self.compile_backbone or preset.compile_backbone)


COMPUTE_AS_PRESET = ComputeOptions()
