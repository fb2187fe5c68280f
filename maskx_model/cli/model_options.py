"""The command line's options for the mask branch and for the computation."""

from dataclasses import dataclass, fields, replace
from typing import Annotated, Literal

from data_prep.arguments import optional
from data_prep.storage.errors import ConfigError
from maskx_model.cli.arguments import as_preset
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
Depth = Literal[10, 20, 32, 52]


@dataclass(frozen=True)
class MaskOptions:
    """The mask branch: the paper's variants, and what came after.

    Attributes:
        kind: `transfer` predicts a class's mask weights from its box weights; `class_agnostic`, one for all classes, is
            the baseline; `class_specific` learns each class's own: with masks of all classes the oracle.
        transfer_input: What the transfer function T receives for a class: its rows of the box head, a fixed random
            vector (`randn`), or a word vector (`embedding`, with --embedding).
        embedding: Text file of word vectors as GloVe and word2vec write them. Classes are found by lemma, display name
            or COCO's name; the words of a longer name are averaged where the file has each of them but not the name.
        transfer_layers: Number of fully connected layers of T.
        activation: The activation between T's layers.
        transfer_scale: How T's input is scaled: not at all (`none`), each class's rows to norm 1 (`unit`), or each
            column to mean 0 and the same deviation over the classes (`standard`).
        transfer_dropout: Fraction of the inputs of each of T's layers that is dropped in training.
        transfer_weight_decay: Weight decay of T alone, instead of the whole mask branch's.
        mlp: The class-agnostic MLP branch: `paper` (157 million weights at 256 channels), `light` (2 million) or none.
        head: The layers before the class weights: the paper's `fcn4`, or the deeper `hourglass`.
        hourglass_layers: Depth of the hourglass.
        channels: Channels of the mask feature; with --head hourglass 64 by default.
        class_bias: Add a bias for each class beside its weights (kind `class_specific`).
    """

    kind: Annotated[MaskKind | None, as_preset(MaskKind, "mask.kind")] = None
    transfer_input: Annotated[TransferInput | None, as_preset(TransferInput, "mask.transfer_input")] = None
    embedding: Annotated[str | None, optional("FILE", "no word vectors")] = None
    transfer_layers: Annotated[int | None, as_preset("N", "mask.transfer_layers")] = None
    activation: Annotated[Activation | None, as_preset(Activation, "mask.activation")] = None
    transfer_scale: Annotated[TransferScale | None, as_preset(TransferScale, "mask.transfer_scale")] = None
    transfer_dropout: Annotated[float | None, as_preset("FRACTION", "mask.transfer_dropout")] = None
    transfer_weight_decay: Annotated[float | None, as_preset("DECAY", "mask.transfer_weight_decay")] = None
    mlp: Annotated[MlpBranch | None, as_preset(MlpBranch, "mask.mlp")] = None
    head: Annotated[MaskHead | None, as_preset(MaskHead, "mask.head")] = None
    hourglass_layers: Annotated[Depth | None, as_preset(Depth, "mask.hourglass_layers")] = None
    channels: Annotated[int | None, as_preset("N", "mask.channels")] = None
    class_bias: bool = False

    def mask_config(self, preset: MaskConfig) -> MaskConfig:
        """The preset's mask branch with these changes; raises ConfigError for options that do not go together."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        given = {name for name, value in values.items() if value is not None and value is not False}
        kind = self.kind or preset.kind
        for_t = sorted(given & {"transfer_input", "embedding", "transfer_layers", "activation"})
        for_t += sorted(given & {"transfer_scale", "transfer_dropout", "transfer_weight_decay"})
        if for_t and kind != "transfer":
            raise ConfigError(f"{_option(for_t[0])}: kind {kind} has no transfer function")
        if self.class_bias and kind != "class_specific":
            raise ConfigError(f"--class-bias: kind {kind} has no weights of each class")
        if self.activation is not None and (self.transfer_layers or preset.transfer_layers) == 1:
            raise ConfigError("--activation: stands between layers of T, and there is one layer only")
        if self.hourglass_layers is not None and (self.head or preset.head) != "hourglass":
            raise ConfigError("--hourglass-layers: goes with --head hourglass")
        if (self.transfer_input == "embedding") != (self.embedding is not None):
            raise ConfigError("--transfer-input embedding and --embedding FILE go together; name both or neither")
        changes = {name: values[name] for name in given - {"embedding"}}
        if self.head == "hourglass":
            changes = {"channels": HOURGLASS_CHANNELS, **changes}
        if self.embedding is not None:
            from maskx_model.data.word_vectors import vector_width

            changes["embedding_dim"] = vector_width(self.embedding)
        return replace(preset, **changes)


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


@dataclass(frozen=True)
class ComputeOptions:
    """How the model is computed.

    Attributes:
        precision: `bf16`: matrix products and convolutions in bfloat16, much faster on a GPU; weights, boxes and losses
            stay float32. `auto`: bf16 on GPUs that have it, float32 elsewhere.
        compile_backbone: Compile the backbone (torch.compile). It takes one to two minutes at the start and needs a C
            compiler.
        device: `cpu`, `cuda`, or one of several GPUs, such as `cuda:1`. Under torchrun each process takes its own GPU.
        dry_run: Run three steps and print the batches' shapes, the memory, and how long the whole training would take
            on this machine. Nothing is written.
    """

    precision: Annotated[Precision | None, as_preset(Precision, "stage1.compute.precision")] = None
    compile_backbone: bool = False
    device: Annotated[str | None, optional("DEVICE", "a GPU if there is one")] = None
    dry_run: bool = False

    def of(self, preset: Compute) -> Compute:
        """The preset's with these changes."""
        compiled = self.compile_backbone or preset.compile_backbone
        return replace(preset, precision=self.precision or preset.precision, compile_backbone=compiled)


@dataclass(frozen=True)
class InferenceComputeOptions:
    """How the model is computed.

    Attributes:
        precision: `bf16`: matrix products and convolutions in bfloat16, much faster on a GPU; weights, boxes and scores
            stay float32. `auto`: bf16 on GPUs that have it, float32 elsewhere.
        compile_backbone: Compile the backbone (torch.compile). It takes one to two minutes at the start and needs a C
            compiler.
    """

    precision: Precision = "float32"
    compile_backbone: bool = False

    @property
    def compute(self) -> Compute:
        """The same for the library."""
        return Compute(self.precision, self.compile_backbone)
