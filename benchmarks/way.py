"""What a benchmark of models compares."""

from dataclasses import dataclass
from typing import Literal

from maskx_model.config import PLAIN, Compute, MlpBranch

ModelName = Literal["ours", "torchvision"]
MODELS: tuple[ModelName, ModelName] = ("ours", "torchvision")


@dataclass(frozen=True)
class Way:
    """Whose model, of how many classes (with the background), with which MLP branch, how it is computed, and whether
    the backbone runs too."""

    model: ModelName
    classes: int
    mlp: MlpBranch = "none"
    compute: Compute = PLAIN
    whole: bool = True

    @property
    def name(self) -> str:
        """The number of classes and how it is computed, as figures are named in a report."""
        return f"{self.classes}_{self.compute.precision}{'_compiled' if self.compute.compile_backbone else ''}"

    def __str__(self) -> str:
        mlp = "" if self.mlp == "none" else f", {self.mlp} MLP"
        precision = "" if self.compute == PLAIN else f", {self.compute.precision}"
        compiled = ", compiled" if self.compute.compile_backbone else ""
        part = "" if self.whole else ", after the backbone"
        return f"{self.model}, {self.classes} classes{mlp}{precision}{compiled}{part}"
