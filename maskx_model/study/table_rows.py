"""Every row of the paper's Tables 1 and 2, what is trained for it, and the orderings that the paper found."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from data_prep.storage.errors import ConfigError

Training = Literal["stage-wise", "end to end", "GrabCut masks", "none"]
"""`stage-wise`: a head on the frozen detector. `end to end`: both at once. `GrabCut masks`: a head on the frozen
detector, from masks that GrabCut makes of ground-truth boxes of all classes. `none`: GrabCut on detected boxes."""


@dataclass(frozen=True)
class Method:
    """What is trained. `mask`: what differs from the preset's mask branch with the paper's T (cls+box, two layers,
    LeakyReLU) and no MLP; `all_masks`: from the masks of all classes, not of A alone (the oracle, §4.1)."""

    mask: dict[str, Any] = field(default_factory=dict)
    training: Training = "stage-wise"
    all_masks: bool = False


@dataclass(frozen=True)
class TableRow:
    """A row of a table; several may show the same method, which is trained once."""

    table: str
    name: str
    method: str

    @property
    def id(self) -> str:
        """As `--rows` names it."""
        return f"{self.table}/{self.name}"


@dataclass(frozen=True)
class Ordering:
    """What the paper found on B (on A where `on` says so): `higher` is above `lower`, or not below it."""

    table: str
    lower: str
    higher: str
    strictly: bool = True
    on: Literal["A", "B"] = "B"


AGNOSTIC: dict[str, Any] = {"kind": "class_agnostic"}
SPECIFIC: dict[str, Any] = {"kind": "class_specific"}
MLP: dict[str, Any] = {"mlp": "paper"}

METHODS: dict[str, Method] = {
    "transfer": Method(),
    "class_agnostic": Method(AGNOSTIC),
    "oracle": Method(SPECIFIC, all_masks=True),
    "randn": Method({"transfer_input": "randn"}),
    "embedding": Method({"transfer_input": "embedding"}),
    "cls": Method({"transfer_input": "cls"}),
    "box": Method({"transfer_input": "box"}),
    "1-layer": Method({"transfer_layers": 1}),
    "2-layer-relu": Method({"activation": "relu"}),
    "3-layer-relu": Method({"transfer_layers": 3, "activation": "relu"}),
    "3-layer-leaky": Method({"transfer_layers": 3}),
    "class_agnostic+mlp": Method(AGNOSTIC | MLP),
    "transfer+mlp": Method(MLP),
    "joint-class_agnostic": Method(AGNOSTIC, "end to end"),
    "joint-transfer": Method({"stop_gradient": False}, "end to end"),
    "joint-transfer-stop": Method({}, "end to end"),
    "grabcut": Method(training="none"),
    "grabcut-masks": Method(SPECIFIC, "GrabCut masks"),
}

ROWS = (
    TableRow("1a", "class-agnostic", "class_agnostic"),
    TableRow("1a", "randn", "randn"),
    TableRow("1a", "embedding", "embedding"),
    TableRow("1a", "cls", "cls"),
    TableRow("1a", "box", "box"),
    TableRow("1a", "cls+box", "transfer"),
    TableRow("1a", "oracle", "oracle"),
    TableRow("1b", "1-layer, none", "1-layer"),
    TableRow("1b", "2-layer, ReLU", "2-layer-relu"),
    TableRow("1b", "2-layer, LeakyReLU", "transfer"),
    TableRow("1b", "3-layer, ReLU", "3-layer-relu"),
    TableRow("1b", "3-layer, LeakyReLU", "3-layer-leaky"),
    TableRow("1c", "class-agnostic", "class_agnostic"),
    TableRow("1c", "class-agnostic+MLP", "class_agnostic+mlp"),
    TableRow("1c", "transfer", "transfer"),
    TableRow("1c", "transfer+MLP", "transfer+mlp"),
    TableRow("1d", "class-agnostic, stage-wise", "class_agnostic"),
    TableRow("1d", "transfer, stage-wise", "transfer"),
    TableRow("1d", "class-agnostic, end to end", "joint-class_agnostic"),
    TableRow("1d", "transfer, end to end", "joint-transfer"),
    TableRow("1d", "transfer, end to end, stop-gradient", "joint-transfer-stop"),
    TableRow("2", "class-agnostic", "class_agnostic"),
    TableRow("2", "GrabCut at test", "grabcut"),
    TableRow("2", "Mask R-CNN on GrabCut masks", "grabcut-masks"),
    TableRow("2", "Mask^X R-CNN", "transfer+mlp"),
    TableRow("2", "oracle", "oracle"),
)

TITLES = {
    "1a": "Table 1a: input of T",
    "1b": "Table 1b: structure of T",
    "1c": "Table 1c: MLP mask branch",
    "1d": "Table 1d: training",
    "2": "Table 2: methods compared (here all of them stage by stage, on one detector; the paper's are end to end)",
}

ORDERINGS = (
    Ordering("1a", "randn", "embedding"),
    Ordering("1a", "embedding", "cls"),
    Ordering("1a", "randn", "cls"),
    Ordering("1a", "randn", "box"),
    Ordering("1a", "class-agnostic", "cls+box"),
    Ordering("1a", "cls", "cls+box"),
    Ordering("1a", "box", "cls+box"),
    Ordering("1a", "cls+box", "oracle"),
    Ordering("1a", "class-agnostic", "cls+box", strictly=False, on="A"),
    Ordering("1b", "1-layer, none", "2-layer, LeakyReLU"),
    Ordering("1b", "2-layer, ReLU", "2-layer, LeakyReLU"),
    Ordering("1b", "3-layer, ReLU", "3-layer, LeakyReLU"),
    Ordering("1c", "class-agnostic", "class-agnostic+MLP", strictly=False),
    Ordering("1c", "transfer", "transfer+MLP", strictly=False),
    Ordering("1c", "class-agnostic+MLP", "transfer+MLP"),
    Ordering("1d", "class-agnostic, stage-wise", "class-agnostic, end to end"),
    Ordering("1d", "transfer, stage-wise", "transfer, end to end, stop-gradient"),
    Ordering("1d", "transfer, end to end", "transfer, end to end, stop-gradient"),
    Ordering("1d", "class-agnostic, end to end", "transfer, end to end, stop-gradient"),
    Ordering("2", "GrabCut at test", "class-agnostic"),
    Ordering("2", "GrabCut at test", "Mask R-CNN on GrabCut masks"),
    Ordering("2", "class-agnostic", "Mask^X R-CNN"),
    Ordering("2", "Mask R-CNN on GrabCut masks", "Mask^X R-CNN"),
    Ordering("2", "Mask^X R-CNN", "oracle"),
)


def chosen_rows(names: Sequence[str]) -> tuple[TableRow, ...]:
    """The rows of those tables (`1a`) or of those names (`1a/randn`), in the paper's order; all of them if none is
    named. Raises ConfigError for an unknown name."""
    known = {row.table for row in ROWS} | {row.id for row in ROWS}
    if unknown := [name for name in names if name not in known]:
        raise ConfigError(f"rows: {unknown[0]!r} does not exist; choose among {', '.join(sorted(known))}")
    return tuple(row for row in ROWS if not names or row.table in names or row.id in names)
