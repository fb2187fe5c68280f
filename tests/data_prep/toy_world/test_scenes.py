"""The toy world's scenes: classes that are alike in every group, visible objects, and their masks as COCO has them."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from data_prep.toy_world import Style, class_groups
from data_prep.toy_world.classes import common_classes, groups, rare_classes
from data_prep.toy_world.coco_files import run_lengths, trace
from data_prep.toy_world.scenes import Scene, draw_scene

STYLES: tuple[Style, ...] = ("hues", "pairs")


def draw(number: int, style: Style = "hues", *, with_crowd: bool = False) -> Scene:
    return draw_scene(np.random.default_rng(number), style, with_rare=True, with_crowd=with_crowd)


def box_of(mask: np.ndarray[Any, np.dtype[np.bool_]]) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1] + 1), int(rows[-1] + 1)


@pytest.mark.parametrize("style", STYLES)
def test_five_groups_of_twelve_are_alike(style: Style) -> None:
    names = [name for group in class_groups(style) for name in group]
    assert [len(group) for group in class_groups(style)] == [12] * 5
    assert len(set(names)) == 60
    for group in groups(style):
        hues = Counter(hue for member in group for hue in member.hues)
        assert set(hues) == set(range(12))
        assert set(hues.values()) == {1 if style == "hues" else 2}
    assert not set(common_classes(style)) & set(rare_classes(style))
    assert len({member.synset for member in (*common_classes(style), *rare_classes(style))}) == 72


def test_groups_of_pairs_mix_near_and_far_hues_alike() -> None:
    for group in groups("pairs"):
        gaps = Counter(min(b - a, 12 - b + a) for a, b in (member.hues for member in group))
        assert all(gaps[gap] in (1, 2, 3) for gap in range(1, 6))


def test_overlapping_pairs_come_from_one_group_and_stay_visible() -> None:
    overlaps = 0
    for scene in (draw(number) for number in range(30)):
        boxes = [box_of(member.mask) for member in scene.objects]
        for i, (a, first) in enumerate(zip(boxes, scene.objects, strict=True)):
            for b, second in zip(boxes[i + 1 :], scene.objects[i + 1 :], strict=True):
                width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
                shared = max(width, 0) * max(height, 0)
                smaller = min((a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1]))
                if shared > 0.3 * smaller:
                    overlaps += 1
                    assert first.toy_class.group == second.toy_class.group is not None
                    assert first.toy_class != second.toy_class
    assert overlaps >= 30


@pytest.mark.parametrize("style", STYLES)
def test_the_background_is_grey_and_objects_are_not(style: Style) -> None:
    scene = draw(1, style)
    spread = scene.pixels.max(axis=2).astype(int) - scene.pixels.min(axis=2)
    seen = np.maximum.reduce([member.coverage for member in scene.objects])
    assert spread[seen == 0].mean() < 20
    assert all(spread[member.coverage > 0.99].mean() > 50 for member in scene.objects)


def test_polygons_describe_the_visible_mask() -> None:
    ious = []
    for scene in (draw(number) for number in range(20)):
        height, width, _ = scene.pixels.shape
        for member in scene.objects:
            runs = coco_mask.merge(coco_mask.frPyObjects(trace(member.coverage), height, width))
            drawn = coco_mask.decode(runs).astype(bool)
            ious.append((drawn & member.mask).sum() / (drawn | member.mask).sum())
    assert np.mean(ious) > 0.97
    assert min(ious) > 0.85


def test_a_hole_is_cut_open_so_that_polygons_keep_it() -> None:
    coverage = np.zeros((40, 50), dtype=np.float32)
    coverage[5:35, 10:45] = 1
    coverage[15:25, 20:30] = 0
    polygons = trace(coverage)
    drawn = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(polygons, 40, 50))).astype(bool)
    assert len(polygons) >= 2
    assert (drawn ^ (coverage > 0.5)).sum() < 30


def test_run_lengths_are_cocos() -> None:
    mask = np.random.default_rng(0).random((7, 9)) > 0.5
    for example in (mask, np.zeros_like(mask), np.ones_like(mask)):
        runs = coco_mask.frPyObjects({"counts": run_lengths(example), "size": [7, 9]}, 7, 9)
        assert (coco_mask.decode(runs).astype(bool) == example).all()
