"""The folder of an evaluation: predictions, drawn images, the report, and the numbers last."""

import csv
import io
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, get_args

import msgspec
import numpy as np
from PIL import Image

from data_prep.storage.errors import JSON_ERRORS, ConfigError, DataError
from data_prep.storage.own_files import write_own
from data_prep.storage.storage import check_writable, create_folder, info, is_on_disk, list_files, read, write
from maskx_model.evaluation.evaluation_run import EvaluationRun
from maskx_model.evaluation.metrics import Evaluation
from maskx_model.report.page import Report, Shown, render
from maskx_model.report.pictures import Panel, Reason, choose, named, panels
from maskx_model.results.coco_results import category_ids, to_results

GAP = 8
"""White pixels between the panels of an image file."""

MARKER = "metrics.json"

PATTERNS = (
    MARKER,
    "per_class.csv",
    "report.html",
    "categories.json",
    "predictions-*.json",
    *(f"pictures/{reason}-*.png" for reason in get_args(Reason)),
    *(f".{MARKER}.*.partial/{path}" for path in ("*", "pictures/*")),  # left by a process that was killed
)
"""The files of an evaluation's folder."""

_COLUMNS = {"box AP": "box_ap", "mask AP": "ap", "mask AP on ground-truth boxes": "ap_gt_boxes"}


class _AnyEvaluation(msgspec.Struct):
    """What `metrics.json` holds in every release."""

    ap: dict[str, Any]
    box_ap: dict[str, Any]
    made_from: dict[str, Any]


def write_evaluation(out: str, measured: EvaluationRun, stages: Sequence[str]) -> None:
    """Write the folder `out`, whole or not at all. `stages`: model folders whose training curves the report shows."""
    with create_folder(out, MARKER) as folder:
        _write_predictions(folder, measured)
        pictures = _pictures(measured)
        for shown in pictures:
            write(folder / "pictures" / f"{shown.reason}-{shown.key}.png", _strip(shown.panels))
        report = Report(
            evaluation=measured.result,
            vocabulary=measured.data.vocabulary,
            mask_classes=measured.mask_classes,
            manifest=measured.data.manifest,
            curves=[(_name(uri), read(f"{uri}/metrics.jsonl")) for uri in stages],
            pictures=pictures,
        )
        write(folder / "report.html", render(report).encode())
        write(folder / "per_class.csv", per_class_csv(measured.result).encode())
        write_own(folder / MARKER, measured.result)


def check_replaceable(out: str) -> None:
    """Check that `out` may be replaced as a whole; raises ConfigError if it holds anything but an evaluation, or cannot
    be written."""
    if info(out) is not None:
        raise ConfigError(f"{out}: is a file; choose another folder for the evaluation")
    check_writable(out)
    present = list_files(out)
    if others := [path for path in present if not _is_own(path)]:
        raise ConfigError(f"{out}: holds {others[0]}, which is no part of an evaluation; choose an empty or new folder")
    finished = [path for path in present if not path.startswith(".")]
    # The upload of one to object storage, or the filling of a folder on disk, may have been cut off before the marker.
    may_lack_marker = not is_on_disk(out) or len(finished) < len(present)
    if finished and (MARKER in finished or not may_lack_marker) and not _is_evaluation(f"{out}/{MARKER}"):
        raise ConfigError(
            f"{out}: holds {finished[0]}, and its {MARKER} is missing or no evaluation's; choose an empty or new "
            "folder, or empty this one"
        )


def _is_own(path: str) -> bool:
    return any(fnmatch(path, own) and path.count("/") == own.count("/") for own in PATTERNS)


def _is_evaluation(uri: str) -> bool:
    try:
        msgspec.json.decode(read(uri), type=_AnyEvaluation)
    except (DataError, *JSON_ERRORS):
        return False
    return True


def per_class_csv(evaluation: Evaluation) -> str:
    """A line for each class: name, position in the vocabulary, set, frequency, objects, and each kind's AP of boxes, of
    masks on predicted boxes and on ground-truth boxes. Empty where there is no number."""
    heads = [f"{title} {named(kind)}" for title, numbers in _COLUMNS.items() for kind in getattr(evaluation, numbers)]
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(["class", "position", "set", "frequency", "objects", *heads])
    for c in evaluation.per_class:
        points = [ap for numbers in _COLUMNS.values() for ap in getattr(c, numbers).values()]
        lines.writerow([c.name, c.position, c.set, c.frequency, c.objects, *points])
    return text.getvalue()


def _write_predictions(folder: Path, measured: EvaluationRun) -> None:
    """Instances of the evaluated classes as COCO results, and what their category ids mean."""
    categories = category_ids(measured.data.vocabulary)
    evaluated = {categories[c.position]: c.name for c in measured.result.per_class}
    names = [{"id": category, "name": name} for category, name in evaluated.items()]
    write(folder / "categories.json", msgspec.json.encode(names) + b"\n")
    for kind, own in measured.predictions.items():
        results = [
            result
            for annotated, instances in zip(measured.ground_truth, own.on_predicted_boxes, strict=True)
            for result in to_results(annotated.listed_id, instances, categories)
            if result["category_id"] in evaluated
        ]
        write(folder / f"predictions-{kind}.json", msgspec.json.encode(results) + b"\n")


def _pictures(measured: EvaluationRun) -> list[Shown]:
    keys = [row.key for row in measured.rows]
    evaluated = [c.position for c in measured.result.per_class]
    pictures = []
    for choice in choose(keys, measured.ground_truth, measured.predictions, measured.mask_classes, evaluated):
        row = measured.rows[choice.position]
        image = measured.data.pixels(row)
        seen = {kind: own.on_predicted_boxes[choice.position] for kind, own in measured.predictions.items()}
        names = measured.data.vocabulary.names
        drawn = panels(image, measured.ground_truth[choice.position], seen, names, measured.mask_classes)
        pictures.append(Shown(row.key, row.license, choice.reason, choice.caption, drawn))
    return pictures


def _strip(drawn: Sequence[Panel]) -> bytes:
    """The panels side by side as a PNG."""
    gap = np.full((drawn[0].picture.shape[0], GAP, 3), 255, np.uint8)
    columns = [column for panel in drawn for column in (panel.picture, gap)][:-1]
    buffer = io.BytesIO()
    Image.fromarray(np.concatenate(columns, axis=1)).save(buffer, "PNG")
    return buffer.getvalue()


def _name(uri: str) -> str:
    return uri.rstrip("/").rsplit("/", maxsplit=1)[-1]
