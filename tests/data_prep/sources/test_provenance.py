"""Masks that a model made, as their files mark them."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from data_prep.format.reader import Dataset
from data_prep.format.records import Annotation
from data_prep.prepare.options import PrepareOptions
from data_prep.prepare.prepare import prepare
from data_prep.sources.coco_annotations import add_coco_annotation
from data_prep.sources.coordinates import CoordinateTransform
from data_prep.sources.objects import ImageObjects, RawRecord
from data_prep.sources.options import parse_sources
from data_prep.storage.errors import ConfigError, DataError
from tests.data_prep.small_sources import coco_image, coco_object, vg_image, write_coco, write_vg


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


def test_a_sources_masks_can_be_declared_as_made_by_a_model(tmp_path: Path) -> None:
    own = coco_object(2, 1, bbox=[12, 3, 10, 5], segmentation=[[12, 3, 22, 3, 22, 8]], provenance={"made_by": "other"})
    boxed = coco_object(3, 1, bbox=[1, 1, 3, 4], segmentation=[])
    write_coco(tmp_path / "teacher", [coco_image(1)], [coco_object(1, 1), own, boxed])
    write_coco(tmp_path / "people", [coco_image(2)], [coco_object(1, 2)])
    sources = tuple(f"{name}=coco:{tmp_path}/{name}" for name in ("teacher", "people"))
    options = PrepareOptions(sources, f"{tmp_path}/out", made=("teacher=sam 2",))
    manifest = prepare(options)
    data = Dataset.open(f"{tmp_path}/out")
    objects = {name: o for row in data.rows for name, o in data.read_record(row).objects.items()}
    assert [a.provenance for a in objects["teacher"]] == ["sam 2", "other", None]
    assert [a.provenance for a in objects["people"]] == [None]
    assert manifest.parameters["made"] == "teacher=sam 2"
    assert prepare(options) == manifest
    with pytest.raises(DataError, match="made from other sources or options"):
        prepare(replace(options, made=()))


@pytest.mark.parametrize(
    ("made", "words"),
    [
        ("teacher", "write NAME=MODEL"),
        ("teacher= ", "write NAME=MODEL"),
        ("people=sam", "no COCO-format or LVIS source is named people"),
        ("vg=sam", "no COCO-format or LVIS source is named vg"),
    ],
)
def test_a_declaration_of_no_sources_masks_is_refused(tmp_path: Path, made: str, words: str) -> None:
    write_coco(tmp_path / "teacher", [coco_image(1)], [])
    write_vg(tmp_path / "vg", [vg_image(9)], {})
    with pytest.raises(ConfigError, match=f"--made {made}: {words}"):
        parse_sources((f"teacher=coco:{tmp_path}/teacher", f"vg=vg:{tmp_path}/vg"), (made,))
