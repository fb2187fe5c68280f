"""Masks that a model made, as their files mark them."""

import json
from typing import Any

import pytest

from data_prep.format.records import Annotation
from data_prep.sources.coco_annotations import add_coco_annotation
from data_prep.sources.coordinates import CoordinateTransform
from data_prep.sources.objects import ImageObjects, RawRecord
from tests.data_prep.small_sources import coco_object


def read(**fields: Any) -> Annotation:
    objects = ImageObjects()
    data = json.dumps(coco_object(7, 1, **fields)).encode()
    add_coco_annotation(RawRecord(data, 0, CoordinateTransform(40, 30), objects), {1: "cat"})
    (found,) = objects.annotations
    return found


@pytest.mark.parametrize(
    ("provenance", "made"),
    [
        ({"made_by": "maskx annotate", "model": "runs/masks", "score": 0.5}, ("maskx annotate runs/masks", 0.5)),
        ({"made_by": "another segmenter"}, ("another segmenter", None)),
        ({"made_by": "another segmenter", "score": 98}, ("another segmenter", None)),
        ("by hand", (None, None)),
        ({"annotator": 7}, (None, None)),
        (None, (None, None)),
    ],
)
def test_a_mask_whose_provenance_names_its_maker_is_marked(provenance: Any, made: tuple[Any, Any]) -> None:
    found = read(provenance=provenance)
    assert found.mask is not None
    assert (found.provenance, found.mask_score) == made


def test_a_box_has_no_mark() -> None:
    assert read(segmentation=None, provenance={"made_by": "maskx annotate", "score": 0.5}).provenance is None
