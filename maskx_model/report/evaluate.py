"""AP of boxes and masks on A (classes with masks in training), on B (without) and on all (§4, §5.2)."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from data_prep.format.manifest import manifest_uri
from data_prep.format.reader import Dataset
from data_prep.storage.errors import CheckpointError, ConfigError
from data_prep.storage.storage import exists, info, list_files, read, sha256
from maskx_model.artifacts.model_folder import LoadedModel, load_model, model_hash
from maskx_model.artifacts.origin import Origin
from maskx_model.config import PLAIN, Compute
from maskx_model.evaluation.evaluation_run import EvaluationRun
from maskx_model.evaluation.metrics import Evaluation, measure

if TYPE_CHECKING:
    from maskx_model.evaluation.ground_truth import GroundTruth
    from maskx_model.evaluation.predictions import Predictions
    from maskx_model.evaluation.protocols import Protocol, ProtocolName

logger = logging.getLogger(__name__)

MaskSource = Literal["model", "grabcut"]
"""Where the masks come from: the model's mask branch, or GrabCut of its boxes."""

FILES = frozenset({"metrics.json", "per_class.csv", "report.html", "categories.json", "pictures"})
"""What an evaluation's folder holds beside `predictions-<kind>.json`."""


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
    protocol: "ProtocolName" = "coco",
    masks: MaskSource = "model",
    compute: Compute = PLAIN,
) -> Evaluation:
    """Measure a model, and a baseline beside it, on the classes of `source`; write a report.

    `protocol`: `coco` measures the classes that the source annotates exhaustively; `lvis` all that it annotates, each
    only in the images where it is annotated or known to be absent (`average_precision`). Where the source has no masks
    only boxes are measured, and a detector will do. It also does with `masks` `grabcut`, Table 2's baseline: GrabCut
    segments the model's boxes, and nothing else of it is used.

    Writes `<out>/metrics.json`, `per_class.csv`, `predictions-<kind>.json` (COCO's results format; by LVIS's protocol
    only what counts) with `categories.json`, `report.html` (one page, pictures inside) and `pictures/`, all or nothing;
    if `out` holds the same evaluation already, that one is returned. `max_images`: only the first images of the
    split. `stages`: further model folders whose training curves the report shows. `device`: by default a GPU where
    there is one. `compute`: how the models are computed.

    Raises ConfigError if `out` holds anything but an older evaluation, and for a baseline with `grabcut`, DataError for
    a split or source that cannot be measured on and for detections that are no numbers, CheckpointError for a model
    that is not whole, has no mask branch where there are masks to measure, or knows other classes than the dataset.
    """
    data = Dataset.open(dataset)
    uris = [*([baseline] if baseline else []), model]
    made_from = _origin(data, uris, [*uris, *stages], split, source, max_images) | {
        "protocol": protocol,
        "masks": masks,
        "precision": compute.precision,
    }
    if (finished := _finished(out, made_from)) is not None:
        logger.info("%s: finished already, nothing to do", out)
        return finished
    _check_replaceable(out)
    if masks == "grabcut" and baseline is not None:
        raise ConfigError("--masks grabcut: segments one model's boxes; evaluate the baseline by itself")
    from maskx_model.report.folder import write_evaluation

    run = _run(data, uris, split, source, max_images, device, protocol, masks, compute, made_from)
    write_evaluation(out, run, [*stages, *uris])
    return run.result


def _run(
    data: Dataset,
    uris: Sequence[str],
    split: str,
    source: str,
    max_images: int | None,
    device: str | None,
    protocol: "ProtocolName",
    masks: MaskSource,
    compute: Compute,
    made_from: Origin,
) -> EvaluationRun:
    """Run the models on the images and measure what they predict."""
    from tqdm import tqdm

    from maskx_model.evaluation.ground_truth import GroundTruth
    from maskx_model.evaluation.protocols import PROTOCOLS
    from maskx_model.model.compute import in_precision_of, resolve_device

    rules, measured = PROTOCOLS[protocol], masks if _has_masks(data, source) else None
    labels = rules.classes(data, source)
    rows = data.select(split, source)[:max_images]
    device = resolve_device(device)
    models = _load(data, uris, device, measured)
    truths = [GroundTruth.of(data.read_record(row), source, labels) for row in rows]
    progress = tqdm(map(data.pixels, rows), "evaluate", len(rows), unit="image", mininterval=1)
    with in_precision_of(compute, device):
        found = _find(zip(progress, truths, strict=True), models, rules, measured, compute)
    in_a = frozenset(models[next(iter(models))].mask_classes)
    classes, names, bins = set(labels.values()), data.vocabulary.names, rules.bins(data, source, labels)
    result = measure(
        truths, found, classes, in_a, names, made_from, protocol=protocol, bins=bins, masks=measured is not None
    )
    return EvaluationRun(data, rows, truths, found, in_a, result)


def _has_masks(data: Dataset, source: str) -> bool:
    return any(source in c.sources and c.sources[source].masks > 0 for c in data.vocabulary.classes)


def _origin(
    data: Dataset, models: Sequence[str], curves: Sequence[str], split: str, source: str, max_images: int | None
) -> Origin:
    if max_images is not None and max_images < 1:
        raise ConfigError(f"max_images: at least one image is needed, got {max_images}")
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


def _load(data: Dataset, uris: Sequence[str], device: str | None, masks: MaskSource | None) -> dict[str, LoadedModel]:
    models: dict[str, LoadedModel] = {}
    for uri in uris:
        loaded = load_model(uri, device)
        if masks == "model" and loaded.config.mask is None:
            raise CheckpointError(f"{uri}: a detector without masks; run `maskx train masks` on it first")
        if loaded.vocabulary.hash != data.vocabulary.hash:
            raise CheckpointError(
                f"{uri}: was trained on another vocabulary ({len(loaded.vocabulary)} classes) than {data.uri} has "
                f"({len(data.vocabulary)}); evaluate it on the dataset it was trained on"
            )
        kind: str = "detector" if loaded.config.mask is None else loaded.config.mask.kind
        kind = "grabcut" if masks == "grabcut" else kind
        for other_kind, other in models.items():
            if kind == other_kind:
                raise CheckpointError(f"{uri}: model and baseline are both {kind}; choose a baseline of another kind")
            if masks and loaded.mask_classes != other.mask_classes:
                raise CheckpointError(f"{uri}: model and baseline saw masks of different classes; use the same")
        models[kind] = loaded
    return models


def _find(
    photographs: "Iterable[tuple[npt.NDArray[np.uint8], GroundTruth]]",
    models: Mapping[str, LoadedModel],
    rules: "Protocol",
    masks: MaskSource | None,
    compute: Compute,
) -> dict[str, "Predictions"]:
    from maskx_model.evaluation.predictions import predict, predict_boxes, predict_grabcut
    from maskx_model.model.compute import compile_backbone
    from maskx_model.model.maskx_rcnn import MaskXRCNN

    whole = {kind: each.model for kind, each in models.items() if isinstance(each.model, MaskXRCNN)}
    detectors = {kind: whole[kind].detector if kind in whole else each.model for kind, each in models.items()}
    for detector in detectors.values():
        rules.configure(detector)
        compile_backbone(detector, compute)
    if masks == "grabcut":
        return predict_grabcut(photographs, detectors, only_verified=rules.federated)
    if masks == "model":
        return predict(photographs, whole, only_verified=rules.federated)
    return predict_boxes(photographs, detectors, only_verified=rules.federated)
