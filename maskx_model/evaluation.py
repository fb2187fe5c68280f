"""AP of boxes and masks on A (classes with masks in training), on B (without) and on all (§4, §5.2)."""

import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import numpy.typing as npt

from data_prep.format.errors import CheckpointError, ConfigError, DataError
from data_prep.format.images import decode_rgb
from data_prep.format.index import IndexRow
from data_prep.format.manifest import manifest_uri
from data_prep.format.reader import Dataset
from data_prep.format.storage import exists, info, list_files, read, sha256
from maskx_model.checkpoint import LoadedModel, Origin, load_model, model_hash

if TYPE_CHECKING:
    from maskx_model.box_protocols import Found
    from maskx_model.coco_ap import APTable, Truth
    from maskx_model.maskx_rcnn import MaskXRCNN

FILES = frozenset({"metrics.json", "report.html", "categories.json", "pictures"})
"""What an evaluation's folder holds beside `predictions-<kind>.json`."""

Numbers = dict[str, dict[str, float | None]]
"""Kind of model (`transfer`, `class_agnostic`, `class_specific`) → `A`, `B` or `all` → AP, 0–100; None: no objects."""


class ClassResult(msgspec.Struct, frozen=True):
    """One evaluated class: `set` is `A` or `B`, `objects` those it was measured on (no crowds), AP by kind of model."""

    name: str
    position: int
    set: str
    objects: int
    ap: dict[str, float | None]
    ap_gt_boxes: dict[str, float | None]
    box_ap: dict[str, float | None]


class Evaluation(msgspec.Struct, frozen=True):
    """`metrics.json`. All AP is COCO's mean over IoU 0.50:0.95 and classes, in percent points.

    `ap`: of masks on predicted boxes. `ap_gt_boxes`: of masks on ground-truth boxes of the right class, every score 1.
    `box_ap`: of boxes. `details`: `mask`, `mask_gt_boxes` or `box` → kind → set → each of COCO's six AP metrics.
    `images`: photographs measured on. `made_from`: hashes of models and dataset, and the choices.
    """

    ap: Numbers
    ap_gt_boxes: Numbers
    box_ap: Numbers
    details: dict[str, dict[str, dict[str, dict[str, float | None]]]]
    per_class: tuple[ClassResult, ...]
    images: int
    made_from: Origin


@dataclass(frozen=True)
class Measured:
    """An evaluation with what it was made of: `found` by kind of model, the baseline first; A as positions."""

    data: Dataset
    rows: Sequence[IndexRow]
    truths: Sequence["Truth"]
    found: Mapping[str, "Found"]
    in_a: frozenset[int]
    result: Evaluation


def evaluate(
    model: str,
    dataset: str,
    out: str,
    baseline: str | None = None,
    split: str = "val",
    source: str = "coco",
    max_images: int | None = None,
    stages: Sequence[str] = (),
    device: str | None = None,
) -> Evaluation:
    """Measure a model, and a baseline beside it, on the classes that `source` annotates exhaustively; write a report.

    Writes `<out>/metrics.json`, `predictions-<kind>.json` (COCO's results format) with `categories.json`, `report.html`
    (one page, pictures inside) and `pictures/`, all or nothing; if `out` holds the same evaluation already, that one is
    returned. `max_images`: only the first photographs of the split. `stages`: further model folders whose training
    curves the report shows. `device`: by default a GPU where there is one.

    Raises ConfigError if `out` holds anything but an older evaluation, DataError for a split or source that cannot be
    measured on, CheckpointError for a model that is not whole, has no mask branch, or knows other classes than the
    dataset.
    """
    data = Dataset.open(dataset)
    uris = [*([baseline] if baseline else []), model]
    made_from = _origin(data, uris, [*uris, *stages], split, source, max_images)
    if (finished := _finished(out, made_from)) is not None:
        print(f"{out}: finished already, nothing to do", file=sys.stderr)
        return finished
    _check_replaceable(out)
    labels = evaluated_classes(data, source)
    rows = data.select(split, source)[:max_images]
    from tqdm import tqdm

    from maskx_model.box_protocols import find
    from maskx_model.coco_ap import Truth
    from maskx_model.device import resolve_device
    from maskx_model.evaluation_folder import write_evaluation

    models = _load(data, uris, resolve_device(device))
    truths = [Truth.of(data.read_record(row), source, labels) for row in rows]
    progress = tqdm(_images(data, rows), "evaluate", len(rows), unit="image", mininterval=1)
    found = find(zip(progress, truths, strict=True), {kind: _whole(each) for kind, each in models.items()})
    in_a = frozenset(models[next(iter(models))].mask_classes)
    result = measure(truths, found, set(labels.values()), in_a, data.vocabulary.names, made_from)
    write_evaluation(out, Measured(data, rows, truths, found, in_a, result), [*stages, *uris])
    return result


def evaluated_classes(data: Dataset, source: str) -> dict[str, int]:
    """The source's class names → positions in the vocabulary, of the classes AP is defined on: those that the source
    annotates exhaustively and the vocabulary holds. Raises DataError where there are none."""
    exhaustive = {name for each in data.manifest.sources if each.name == source for name in each.exhaustive}
    labels = {name: position for name, position in data.vocabulary.index(source).items() if name in exhaustive}
    if not labels:
        raise DataError(
            f"{data.uri}: source {source!r} annotates no class of the vocabulary exhaustively, so AP is not defined "
            "on it; evaluate on a source in COCO's format"
        )
    return labels


def measure(
    truths: Sequence["Truth"],
    found: Mapping[str, "Found"],
    classes: Collection[int],
    in_a: Collection[int],
    names: Sequence[str],
    made_from: Origin,
) -> Evaluation:
    """All numbers of an evaluation. A's and B's are means over slices of one run of COCO's procedure."""
    from maskx_model.coco_ap import average_precision

    tables = {
        "mask": {kind: average_precision(truths, each.predicted, "segm", classes) for kind, each in found.items()},
        "mask_gt_boxes": {kind: average_precision(truths, each.given, "segm", classes) for kind, each in found.items()},
        "box": {kind: average_precision(truths, each.predicted, "bbox", classes) for kind, each in found.items()},
    }
    a = set(classes) & set(in_a)
    sets = {"A": a, "B": set(classes) - a, "all": set(classes)}
    details = {
        what: {kind: {name: table.mean(members) for name, members in sets.items()} for kind, table in kinds.items()}
        for what, kinds in tables.items()
    }
    ap = {
        what: {kind: {name: each["AP"] for name, each in sets.items()} for kind, sets in kinds.items()}
        for what, kinds in details.items()
    }
    per_class = _per_class(truths, tables, sorted(classes), a, names)
    return Evaluation(ap["mask"], ap["mask_gt_boxes"], ap["box"], details, per_class, len(truths), made_from)


def _per_class(
    truths: Sequence["Truth"],
    tables: Mapping[str, Mapping[str, "APTable"]],
    classes: Sequence[int],
    in_a: Collection[int],
    names: Sequence[str],
) -> tuple[ClassResult, ...]:
    objects = dict.fromkeys(classes, 0)
    for truth in truths:
        for label, thing in zip(truth.labels, truth.objects, strict=True):
            objects[label] += not thing.iscrowd
    columns = {what: {kind: table.by_class() for kind, table in kinds.items()} for what, kinds in tables.items()}
    return tuple(
        ClassResult(
            name=names[c],
            position=c,
            set="A" if c in in_a else "B",
            objects=objects[c],
            ap={kind: column[c] for kind, column in columns["mask"].items()},
            ap_gt_boxes={kind: column[c] for kind, column in columns["mask_gt_boxes"].items()},
            box_ap={kind: column[c] for kind, column in columns["box"].items()},
        )
        for c in classes
    )


def _origin(
    data: Dataset, models: Sequence[str], curves: Sequence[str], split: str, source: str, max_images: int | None
) -> Origin:
    if max_images is not None and max_images < 1:
        raise ConfigError(f"max_images: at least one photograph is needed, got {max_images}")
    return {
        "dataset": sha256(manifest_uri(data.uri)),
        "models": ",".join(model_hash(uri) for uri in models),
        "curves": ",".join(model_hash(uri) for uri in curves),
        "split": split,
        "source": source,
        "max_images": max_images,
    }


def _finished(out: str, made_from: Origin) -> Evaluation | None:
    if not exists(f"{out}/metrics.json"):
        return None
    try:
        evaluation = msgspec.json.decode(read(f"{out}/metrics.json"), type=Evaluation)
    except msgspec.DecodeError:
        return None  # of another version, or damaged: it is made anew
    return evaluation if evaluation.made_from == made_from else None


def _check_replaceable(out: str) -> None:
    """The folder is replaced as a whole, so nothing else may be in it."""
    if info(out) is not None:
        raise ConfigError(f"{out}: a file stands there; choose another folder for the evaluation")
    present = sorted({path.partition("/")[0] for path in list_files(out)} - FILES)
    others = [name for name in present if not fnmatch(name, "predictions-*.json")]
    if others:
        raise ConfigError(f"{out}: holds {others[0]}, which is no part of an evaluation; choose an empty or new folder")


def _load(data: Dataset, uris: Sequence[str], device: str | None) -> dict[str, LoadedModel]:
    models: dict[str, LoadedModel] = {}
    for uri in uris:
        loaded = load_model(uri, device)
        if loaded.config.mask is None:
            raise CheckpointError(f"{uri}: a detector without masks; run `maskx train masks` on it first")
        if loaded.vocabulary.hash != data.vocabulary.hash:
            raise CheckpointError(
                f"{uri}: was trained on another vocabulary ({len(loaded.vocabulary)} classes) than {data.uri} has "
                f"({len(data.vocabulary)}); evaluate it on the dataset it was trained on"
            )
        for kind, other in models.items():
            if loaded.config.mask.kind == kind:
                raise CheckpointError(f"{uri}: model and baseline are both {kind}; choose a baseline of another kind")
            if loaded.mask_classes != other.mask_classes:
                raise CheckpointError(f"{uri}: model and baseline saw masks of different classes; use the same")
        models[loaded.config.mask.kind] = loaded
    return models


def _whole(loaded: LoadedModel) -> "MaskXRCNN":
    from maskx_model.maskx_rcnn import MaskXRCNN

    assert isinstance(loaded.model, MaskXRCNN)
    return loaded.model


def _images(data: Dataset, rows: Sequence[IndexRow]) -> Iterator[npt.NDArray[np.uint8]]:
    for row in rows:
        yield decode_rgb(data.read_image(row), f"{data.uri}/{row.shard}: {row.key}.jpg")
