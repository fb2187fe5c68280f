"""Instances in COCO's results format, which pycocotools' `loadRes` and the COCO server read."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from data_prep.format.vocabulary import Vocabulary

if TYPE_CHECKING:
    from maskx_model.results.instances import Instances


def category_ids(vocabulary: Vocabulary) -> tuple[int, ...]:
    """A number for each class, in the vocabulary's order: COCO's where it has one, other numbers lie above those."""
    highest = max((c.category_id or 0 for c in vocabulary.classes), default=0)
    return tuple(
        highest + 1 + position if c.category_id is None else c.category_id
        for position, c in enumerate(vocabulary.classes)
    )


def to_results(image_id: int | str, instances: "Instances", categories: Sequence[int]) -> list[dict[str, Any]]:
    """A result per instance: image_id, category_id, bbox (x, y, width, height in pixels), score, segmentation
    (where there are masks).

    Nothing is rounded: AP of the file is AP of the instances. (For AP of small, medium and large *masks* remove the
    `bbox` before `loadRes`, which otherwise takes the box's area for the mask's.)
    """
    results = []
    for number, ((x1, y1, x2, y2), label, score) in enumerate(
        zip(instances.boxes.tolist(), instances.labels.tolist(), instances.scores.tolist(), strict=True)
    ):
        result = {"image_id": image_id, "category_id": categories[label], "bbox": [x1, y1, x2 - x1, y2 - y1]}
        result["score"] = score
        if instances.masks:
            mask = instances.masks[number]
            result["segmentation"] = {"size": list(mask.size), "counts": mask.counts}
        results.append(result)
    return results
