"""`estimate.json`: mask AP on classes that have no masks to measure by, estimated by leaving classes of A out.

`maskx study estimate` writes it (`maskx_model/study/estimate_of_b.py`), the registry reads it. Needs no torch.
"""

import msgspec

from data_prep.storage.errors import JSON_ERRORS, DataError
from data_prep.storage.own_files import write_own
from data_prep.storage.storage import exists, read
from maskx_model.artifacts.model_folder import read_model_manifest
from maskx_model.artifacts.origin import Origin
from maskx_model.config import MaskConfig
from maskx_model.training.provenance import settings_hash

FILE = "estimate.json"
SHARED = ("dataset", "detector", "source", "mask_classes")
"""What an estimate and the model that it is of were made from alike."""


class EstimateOfB(msgspec.Struct, frozen=True):
    """AP on predicted boxes, percent points.

    `on_b`: the estimate of mask AP on B; `error`: how far a fold is from what the others predict for it, to scale (root
    mean square; None of a single fold, or where no fold has any AP). `held_out`: mean mask AP on the classes left out.
    `margin`: by how much these lie above the class-agnostic head's, and `margin_error`, the standard error of that.
    `folds` by their classes' names; `made_from`: hashes of dataset, detector and mask head (`head`), and the choices.
    """

    on_b: float
    error: float | None
    held_out: float
    margin: float
    margin_error: float
    folds: tuple[tuple[str, ...], ...]
    seeds: tuple[int, ...]
    made_from: Origin

    def __str__(self) -> str:
        return f"{self.on_b:.1f}" if self.error is None else f"{self.on_b:.1f} ± {self.error:.1f}"


def write_estimate(folder: str, estimate: EstimateOfB) -> None:
    """Write `<folder>/estimate.json`."""
    write_own(f"{folder}/{FILE}", estimate)


def read_estimate(folder: str) -> EstimateOfB:
    """Read `<folder>/estimate.json`; raises DataError where there is none, or for a file that is something else."""
    uri = f"{folder.rstrip('/')}/{FILE}"
    if not exists(uri):
        raise DataError(f"{folder}: no {FILE}, so no finished estimate; run `maskx study estimate` to write one")
    try:
        return msgspec.json.decode(read(uri), type=EstimateOfB)
    except JSON_ERRORS as error:
        raise DataError(f"{uri}: not an estimate ({error}); run `maskx study estimate` again") from None


def estimate_of(folder: str, model: str) -> EstimateOfB:
    """The estimate in `folder`, which must be of the model's mask head, made from the same.

    Raises DataError if it is of another head, dataset, detector or A; CheckpointError if there is no model.
    """
    estimate, made_from = read_estimate(folder), read_model_manifest(model).made_from
    mask = msgspec.json.decode(read(f"{model}/config.json"))["model"]["mask"]
    expected = {name: made_from.get(name) for name in SHARED} | {"head": head_hash(msgspec.convert(mask, MaskConfig))}
    for name, value in expected.items():
        if estimate.made_from.get(name) != value:
            raise DataError(
                f"{folder}/{FILE}: the estimate of another model than {model}, or made by another version of maskx: "
                f"{name} is {estimate.made_from.get(name)}, the model's {value}; run `maskx study estimate` with what "
                "that model was trained from"
            )
    return estimate


def head_hash(mask: MaskConfig) -> str:
    """Identifies a mask head's configuration."""
    return settings_hash(mask)
