"""The numbers of an evaluation: AP of boxes and masks by kind of model, set of classes and class; `metrics.json`."""

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

import msgspec

from maskx_model.artifacts.origin import Origin

if TYPE_CHECKING:
    from maskx_model.config import ProtocolName
    from maskx_model.evaluation.coco_ap import APTable, IouType
    from maskx_model.evaluation.ground_truth import GroundTruth
    from maskx_model.evaluation.predictions import Predictions

MEASURES = {"mask": "masks on predicted boxes", "mask_gt_boxes": "masks on ground-truth boxes", "box": "boxes"}
"""What AP is measured of, and what people call it."""

Numbers = dict[str, dict[str, float | None]]
"""Kind of model (`transfer`, `class_agnostic`, `class_specific`, `grabcut` or `detector`) → `A`, `B` or `all`, and with
LVIS's protocol `rare`, `common`, `frequent` → AP, 0–100; None: no objects."""


class ClassResult(msgspec.Struct, frozen=True):
    """One evaluated class: `set` is `A` or `B`, `objects` those it was measured on (no crowds), AP by kind of model.
    `frequency`: its bin by LVIS's protocol."""

    name: str
    position: int
    set: str
    objects: int
    ap: dict[str, float | None]
    ap_gt_boxes: dict[str, float | None]
    box_ap: dict[str, float | None]
    frequency: str | None = None


class Evaluation(msgspec.Struct, frozen=True):
    """`metrics.json`. All AP is COCO's mean over IoU 0.50:0.95 and classes, in percent points.

    `ap`: of masks on predicted boxes. `ap_gt_boxes`: of masks on ground-truth boxes of the right class, every score 1.
    `box_ap`: of boxes. Where only boxes were measured there is no mask AP: `ap` and `ap_gt_boxes` are empty.
    `details`: `mask`, `mask_gt_boxes` or `box` → kind → set → each of COCO's six AP metrics.
    `images`: images measured on. `ground_truth`: SHA-256 of their records (`fingerprint`). `known_absent`: in how many
    pairs of an image and a class that class is known to be absent (LVIS's protocol; None by COCO's, which takes every
    class for looked for). `made_from`: hashes of models and dataset, and the choices.
    """

    ap: Numbers
    ap_gt_boxes: Numbers
    box_ap: Numbers
    details: dict[str, dict[str, dict[str, dict[str, float | None]]]]
    per_class: tuple[ClassResult, ...]
    images: int
    ground_truth: str
    made_from: Origin
    known_absent: int | None = None


def measure(
    ground_truth: Sequence["GroundTruth"],
    predictions: Mapping[str, "Predictions"],
    classes: Collection[int],
    mask_classes: Collection[int],
    names: Sequence[str],
    made_from: Origin,
    *,
    protocol: "ProtocolName" = "coco",
    bins: Mapping[str, Collection[int]] = MappingProxyType({}),
    masks: bool = True,
) -> Evaluation:
    """All numbers of an evaluation. A's and B's are means over slices of one run of the protocol.

    `bins`: further sets of classes, by name. `masks`: False if only boxes are to be measured. Raises DataError for
    instances that make no sense.
    """
    from maskx_model.evaluation.coco_ap import average_precision
    from maskx_model.evaluation.ground_truth import fingerprint
    from maskx_model.evaluation.instance_checks import check_instances
    from maskx_model.evaluation.protocols import PROTOCOLS

    def table(kind: str, iou_type: "IouType", on_ground_truth_boxes: bool = False) -> "APTable":
        own = predictions[kind]
        instances = own.on_ground_truth_boxes if on_ground_truth_boxes else own.on_predicted_boxes
        check_instances(ground_truth, instances, len(names), kind)
        return average_precision(ground_truth, instances, iou_type, classes, PROTOCOLS[protocol].federated)

    tables = {"box": {kind: table(kind, "bbox") for kind in predictions}}
    if masks:
        tables["mask"] = {kind: table(kind, "segm") for kind in predictions}
        tables["mask_gt_boxes"] = {kind: table(kind, "segm", on_ground_truth_boxes=True) for kind in predictions}
    a = set(classes) & set(mask_classes)
    sets = {"A": a, "B": set(classes) - a, "all": set(classes), **bins}
    details = {what: {kind: _means(table, sets) for kind, table in kinds.items()} for what, kinds in tables.items()}
    ap = {
        what: {kind: {name: each["AP"] for name, each in sets.items()} for kind, sets in kinds.items()}
        for what, kinds in details.items()
    }
    return Evaluation(
        ap=ap.get("mask", {}),
        ap_gt_boxes=ap.get("mask_gt_boxes", {}),
        box_ap=ap["box"],
        details={what: details[what] for what in MEASURES if what in details},
        per_class=_per_class(ground_truth, tables, sorted(classes), a, names, bins),
        images=len(ground_truth),
        ground_truth=fingerprint(ground_truth, names),
        made_from=made_from,
        known_absent=sum(len(t.negative) for t in ground_truth) if PROTOCOLS[protocol].federated else None,
    )


def _means(table: "APTable", sets: Mapping[str, Collection[int]]) -> dict[str, dict[str, float | None]]:
    return {name: table.mean(members) for name, members in sets.items()}


def _per_class(
    ground_truth: Sequence["GroundTruth"],
    tables: Mapping[str, Mapping[str, "APTable"]],
    classes: Sequence[int],
    mask_classes: Collection[int],
    names: Sequence[str],
    bins: Mapping[str, Collection[int]],
) -> tuple[ClassResult, ...]:
    objects = dict.fromkeys(classes, 0)
    for image in ground_truth:
        for label, thing in zip(image.labels, image.objects, strict=True):
            objects[label] += not thing.iscrowd
    columns = {what: {kind: table.by_class() for kind, table in kinds.items()} for what, kinds in tables.items()}
    frequency = {c: name for name, members in bins.items() for c in members}
    return tuple(
        ClassResult(
            name=names[c],
            position=c,
            set="A" if c in mask_classes else "B",
            objects=objects[c],
            ap={kind: column[c] for kind, column in columns.get("mask", {}).items()},
            ap_gt_boxes={kind: column[c] for kind, column in columns.get("mask_gt_boxes", {}).items()},
            box_ap={kind: column[c] for kind, column in columns["box"].items()},
            frequency=frequency.get(c),
        )
        for c in classes
    )
