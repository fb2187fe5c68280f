"""From files with boxes to files with masks."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from pycocotools.coco import COCO

from maskx_model.annotate.segment import clipped
from maskx_model.annotate.summary import describe
from tests.maskx_model.annotate.small_boxes import CATEGORIES, MASK, annotation, png, write_boxes
from tests.maskx_model.annotate.small_runs import annotated, run

ADDED = {"segmentation", "score", "provenance"}

MIXED = [
    annotation(1),
    annotation(2, 2, category_id=7, attributes={"occluded": None}),
    annotation(3, segmentation=[]),
    annotation(4, segmentation=MASK, note="drawn by hand"),
    annotation(5, category_id=9),
    annotation(6, iscrowd=1),
    annotation(7, bbox=[0, 0, 0, 5]),
    annotation(8, bbox=[500, 500, 5, 5]),
    annotation(9, 77),
    annotation(10, category_id=11),
    annotation(11, 3),
]


def test_boxes_of_known_classes_get_masks_and_all_else_stays(model: str, tmp_path: Path) -> None:
    source = write_boxes(tmp_path, MIXED, images=3)
    (tmp_path / "images/3.png").write_bytes(png(3)[:100])
    summary = run(model, tmp_path / "out", source)
    assert summary.files == {"boxes.json": len(MIXED)}
    left = {"has_a_mask": 1, "crowd": 1, "unknown_class": 2, "no_box": 2, "no_image": 2}
    assert summary.outcomes == {"segmented": 3, **left}
    assert summary.unknown_classes == {"elk": 1, "id 11": 1}
    assert any("3.png: not a readable image" in problem for problem in summary.problems)
    before, after = (json.loads((tmp_path / path).read_text()) for path in ("boxes.json", "out/boxes.json"))
    assert {k: v for k, v in after.items() if k != "annotations"} == {
        k: v for k, v in before.items() if k != "annotations"
    }
    for given, found in zip(before["annotations"], after["annotations"], strict=True):
        if given["id"] > 3:
            assert found == given
            continue
        assert {k: v for k, v in found.items() if k not in ADDED} == {k: v for k, v in given.items() if k not in ADDED}
        assert 0 < found["score"] < 1
        assert found["provenance"]["made_by"] == "maskx annotate"
        assert found["provenance"]["model"].endswith("/transfer")
    read = COCO(str(tmp_path / "out/boxes.json"))
    assert read.annToMask(read.loadAnns([1])[0])[15:65, 20:81].any()
    assert not (tmp_path / "out/.annotate").exists()
    assert "elk 1" in describe(summary, "out")


def test_the_bytes_between_annotations_stay(model: str, tmp_path: Path) -> None:
    source = write_boxes(tmp_path, [annotation(1, category_id=9, note="é"), annotation(2, 2, category_id=9)])
    run(model, tmp_path / "out", source)
    assert (tmp_path / "out/boxes.json").read_bytes() == (tmp_path / "boxes.json").read_bytes()


def test_a_file_without_anything_to_segment_comes_back(model: str, tmp_path: Path) -> None:
    source = write_boxes(tmp_path, [])
    assert run(model, tmp_path / "out", source).outcomes == {}
    assert (tmp_path / "out/boxes.json").read_bytes() == (tmp_path / "boxes.json").read_bytes()


def test_drawn_masks_are_replaced_only_when_asked_and_made_ones_apart(model: str, tmp_path: Path) -> None:
    drawn, made = annotation(1, segmentation=MASK), annotation(2, segmentation=MASK, provenance={"made_by": "sam"})
    source = write_boxes(tmp_path, [drawn, made])
    expected: Mapping[str, tuple[bool, bool]] = {"none": (False, False), "made": (False, True), "all": (True, True)}
    for replace, changed in expected.items():
        run(model, tmp_path / replace, source, replace=replace)
        assert tuple(a["segmentation"] != MASK for a in annotated(tmp_path / replace)) == changed


def test_polygons_are_written_where_asked(model: str, tmp_path: Path) -> None:
    source = write_boxes(tmp_path, [annotation(1), annotation(2, 2)])
    run(model, tmp_path / "rle", source)
    run(model, tmp_path / "polygons", source, tolerance=0.0)
    rle, polygons = (COCO(str(tmp_path / kind / "boxes.json")) for kind in ("rle", "polygons"))
    for one, other in zip(rle.loadAnns([1, 2]), polygons.loadAnns([1, 2]), strict=True):
        assert isinstance(other["segmentation"], list)
        mask, drawn = rle.annToMask(one), polygons.annToMask(other)
        assert (drawn >= mask).all()  # holes are filled


def test_boxes_are_clipped_to_the_image() -> None:
    boxes, inside = clipped(np.array([[-5.0, 2, 10, 4], [95, 0, 20, 10], [100, 0, 5, 5]]), 100, 50)
    assert boxes.tolist() == [[0, 2, 5, 6], [95, 0, 100, 10], [100, 0, 100, 5]]
    assert inside.tolist() == [True, True, False]


def test_the_page_shows_examples_and_escapes_names(model: str, tmp_path: Path) -> None:
    categories = [*CATEGORIES, {"id": 12, "name": "<script>alert(1)</script>"}]
    source = write_boxes(tmp_path, [annotation(1), annotation(2, category_id=12)], categories=categories)
    run(model, tmp_path / "out", source)
    page = (tmp_path / "out/page.html").read_text()
    assert page.count("data:image/jpeg;base64") == 2  # the one mask, among the least sure and at random
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
