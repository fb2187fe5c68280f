"""What is worth remembering of a run, gathered from the folders that its steps wrote. Needs no torch and no MLflow."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import msgspec

from data_prep.format.manifest import dataset_hash, read_manifest
from data_prep.storage.errors import JSON_ERRORS, DataError
from data_prep.storage.storage import absolute, exists, list_files, local_copy, read
from maskx_model.artifacts.model_folder import model_hash, read_model_manifest
from maskx_model.artifacts.origin import Origin
from maskx_model.evaluation.estimate_file import EstimateOfB, estimate_of
from maskx_model.evaluation.metrics import Evaluation
from maskx_model.run_config import RunConfig

BASELINE = "class_agnostic"
"""The kind of model that others must beat on B (§3.3)."""


@dataclass(frozen=True)
class Curve:
    """One number over the steps of a training: `points` are (step, value)."""

    name: str
    points: tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class DatasetReference:
    """A prepared dataset: its URI, the SHA-256 of its manifest, whether it served for `training`, `evaluation` or both,
    and its counts by split and part as JSON."""

    uri: str
    sha256: str
    used_for: tuple[str, ...]
    counts: str


@dataclass(frozen=True)
class RunContents:
    """A trained and evaluated model: how it was made, how good it is, and the files to look at.

    `kind` is that of its mask branch, `ap` its figures by the names that the gates know (percent points, where
    measured), `test_set` a hash of the ground truth and the classes of B that it was measured on, `evaluation` all of
    its numbers, `estimate` that of mask AP on B. `parameters` and `metrics` are flat (`model.mask.kind`,
    `ap/transfer/B`), `files` are paths by their folder in MLflow.
    """

    model_sha256: str
    kind: str
    ap: dict[str, float]
    test_set: str
    evaluation: Evaluation
    estimate: EstimateOfB | None
    parameters: dict[str, str]
    metrics: dict[str, float]
    curves: tuple[Curve, ...]
    dataset: DatasetReference | None
    files: dict[str, tuple[Path, ...]]

    @property
    def evaluation_sha256(self) -> str:
        """A hash of what was measured, and how."""
        return hashlib.sha256(msgspec.json.encode(self.evaluation.made_from, order="deterministic")).hexdigest()


def gather(
    model: str,
    evaluation: str,
    stages: tuple[str, ...],
    dataset: str | None,
    preset: RunConfig | None,
    estimate: str | None = None,
) -> RunContents:
    """Read a model folder, the folder of its evaluation, the folders of further trainings (for their curves), the
    dataset, and the folder of the estimate for B.

    Raises CheckpointError or DataError for one that is missing, not finished, or does not belong to the model.
    """
    manifest = read_model_manifest(model)
    description = msgspec.json.decode(read(f"{model}/config.json"))
    if description["model"]["mask"] is None:
        raise DataError(f"{model}: a detector without a mask branch; register what `maskx train masks` made of it")
    kind = description["model"]["mask"]["kind"]
    results = _read_evaluation(evaluation, model)
    if kind not in results.ap:
        raise DataError(f"{evaluation}: only boxes were measured; evaluate the model on images with masks first")
    estimated = None if estimate is None else estimate_of(estimate, model)
    ap = own_figures(results, kind) | _over_baseline(results, kind) | _estimated_figures(estimated)
    uses = {"training": manifest.made_from.get("dataset"), "evaluation": results.made_from["dataset"]}
    origins = {folder_name(stage): read_model_manifest(stage).made_from for stage in (*stages, model)}
    parameters = {"model": description["model"], "made_from": origins, "evaluation": results.made_from}
    if preset is not None:
        parameters["preset"] = _preset_settings(preset)
    if estimated is not None:
        parameters["estimate"] = estimated.made_from
    numbers = {"ap": results.ap, "ap_gt_boxes": results.ap_gt_boxes, "box_ap": results.box_ap}
    return RunContents(
        model_sha256=model_hash(model),
        kind=kind,
        ap=ap,
        test_set=hash_of_test_set(results),
        evaluation=results,
        estimate=estimated,
        parameters={key: str(value) for key, value in flatten(parameters, ".")},
        metrics={key: value for key, value in flatten(numbers, "/") if value is not None},
        curves=tuple(curve for stage in dict.fromkeys((*stages, model)) for curve in read_curves(stage)),
        dataset=None if dataset is None else _refer(dataset, uses),
        files=_files(evaluation),
    )


def read_curves(stage: str) -> list[Curve]:
    """The curves of a training folder's `metrics.jsonl`, named `<folder>/<number>`; raises DataError for a damaged
    line."""
    points: dict[str, list[tuple[int, float]]] = {}
    uri = f"{stage.rstrip('/')}/metrics.jsonl"
    for number, line in enumerate(read(uri).splitlines(), start=1):
        try:
            values = msgspec.json.decode(line, type=dict[str, float | str | None])
            step = int(values.pop("step") or 0)
        except (*JSON_ERRORS, KeyError) as error:
            raise DataError(f"{uri}: line {number} is not a line of metrics ({error}); train again") from None
        for key, value in values.items():
            if isinstance(value, float):
                points.setdefault(f"{folder_name(stage)}/{key}", []).append((step, value))
    return [Curve(name, tuple(values)) for name, values in points.items()]


def flatten(tree: Mapping[str, Any], separator: str) -> Iterator[tuple[str, Any]]:
    """The leaves of nested dictionaries, by their joined keys; lists are leaves."""
    for key, value in tree.items():
        if isinstance(value, Mapping):
            for below, leaf in flatten(value, separator):
                yield f"{key}{separator}{below}", leaf
        else:
            yield key, value


def folder_name(uri: str) -> str:
    """What a model, dataset or stage is called in MLflow: its folder's name."""
    return absolute(uri).rpartition("/")[2]


def _read_evaluation(evaluation: str, model: str) -> Evaluation:
    uri = f"{evaluation}/metrics.json"
    if not exists(uri):
        raise DataError(f"{evaluation}: no metrics.json, so no finished evaluation; run `maskx evaluate` to write one")
    try:
        results = msgspec.json.decode(read(uri), type=Evaluation)
    except JSON_ERRORS as error:
        raise DataError(f"{uri}: not the numbers of an evaluation ({error}); run `maskx evaluate` again") from None
    if model_hash(model) not in str(results.made_from["models"]).split(","):
        raise DataError(f"{uri}: the evaluation of another model than {model}; run `maskx evaluate` on this one")
    return results


def own_figures(results: Evaluation, kind: str) -> dict[str, float]:
    """A model's AP in percent points, by the names that the gates know; without those that nothing was measured for."""
    mask, box = results.ap[kind], results.box_ap[kind]
    measured = {"mask_ap_a": mask["A"], "mask_ap_b": mask["B"], "mask_ap": mask["all"], "box_ap": box["all"]}
    return {name: number for name, number in measured.items() if number is not None}


def _over_baseline(results: Evaluation, kind: str) -> dict[str, float]:
    """By how much mask AP lies above that of the class-agnostic model measured beside it, on B and on all classes."""
    baseline, own = results.ap.get(BASELINE, {}), results.ap[kind]
    pairs = {
        name: (own[part], baseline.get(part)) for name, part in (("over_baseline_b", "B"), ("over_baseline", "all"))
    }
    return {name: ours - theirs for name, (ours, theirs) in pairs.items() if ours is not None and theirs is not None}


def _estimated_figures(estimate: EstimateOfB | None) -> dict[str, float]:
    return {} if estimate is None else {"estimate_b": estimate.on_b, "estimate_margin": estimate.margin}


def hash_of_test_set(results: Evaluation) -> str:
    """A hash of the validation records and of B: two models with equal ones can be compared.

    Training images have no part in it, so that training on more of them gives a model that can be compared.
    """
    choices = [results.made_from.get(key) for key in ("split", "source", "max_images", "protocol")]
    b = sorted(each.name for each in results.per_class if each.set == "B")
    return hashlib.sha256(msgspec.json.encode([results.ground_truth, *choices, b])).hexdigest()


def _preset_settings(run: RunConfig) -> dict[str, Any]:
    """The configuration without the model's own settings, which the model itself knows best."""
    settings = msgspec.to_builtins(run)
    return {key: value for key, value in settings.items() if key not in ("detector", "mask")}


def _refer(dataset: str, uses: Origin) -> DatasetReference:
    manifest = read_manifest(dataset)
    sha256 = dataset_hash(dataset)
    used_for = tuple(use for use, expected in uses.items() if expected == sha256)
    if not used_for:
        raise DataError(
            f"{dataset}: the model was neither trained nor measured on this dataset; name that one, or none"
        )
    return DatasetReference(dataset, sha256, used_for, msgspec.json.encode(manifest.counts, order="sorted").decode())


def _files(evaluation: str) -> dict[str, tuple[Path, ...]]:
    written = list_files(evaluation)
    pages = tuple(local_copy(f"{evaluation}/{name}") for name in ("report.html", "metrics.json") if name in written)
    pictures = tuple(local_copy(f"{evaluation}/{path}") for path in written if fnmatch(path, "pictures/*.png"))
    return {"evaluation": pages, "evaluation/pictures": pictures}
