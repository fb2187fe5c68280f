"""The command line's options for how a training is computed."""

from dataclasses import dataclass

from maskx_model.config import Compute, Precision


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
