"""Overlays: the right colors at the right places, readable at any size, and the image untouched."""

import tracemalloc

import numpy as np
import numpy.typing as npt
import pytest

from data_prep.format.records import Rle
from data_prep.format.rle import encode_bitmap
from data_prep.pages.drawing import GREENS, OPACITY, REDS, Shape, draw
from maskx_model.results.drawing import draw_instances
from maskx_model.results.instances import Instances
from tests.maskx_model.synthetic import ellipse

GREY = np.full((120, 160, 3), 128, np.uint8)
NAMES = ["cup", "<script>", "a class with a name that is much longer than any image is wide " * 3]


def one(label: int, score: float = 0.9, box: tuple[float, float, float, float] = (30, 40, 110, 100)) -> Instances:
    mask = ellipse(np.array(box))
    return Instances(np.array([box], np.float32), np.array([label]), np.array([score], np.float32), [mask])


def reddest(picture: npt.NDArray[np.uint8]) -> bool:
    middle = picture[picture.shape[0] * 70 // 120, picture.shape[1] * 70 // 160].astype(int)
    return bool(middle[0] > middle[1])


def test_a_is_green_and_b_is_red() -> None:
    assert not reddest(draw_instances(GREY, one(0), NAMES, {0}))
    assert reddest(draw_instances(GREY, one(1), NAMES, {0}))
    assert all(green[1] == max(green) for green in GREENS)
    assert all(red[0] == max(red) for red in REDS)


def test_the_image_shows_through_the_mask_and_is_untouched_outside() -> None:
    before = GREY.copy()
    picture = draw_instances(GREY, one(0), NAMES, {0})
    assert np.array_equal(GREY, before)
    assert (picture[-20:, :20] == 128).all()
    dark = draw_instances(GREY // 2, one(0), NAMES, {0})
    y, x = 70 * 480 // 160, 70 * 480 // 160
    assert picture[y, x].sum() > dark[y, x].sum()


def test_what_scores_too_low_is_left_out() -> None:
    blank = draw_instances(GREY, one(0, score=0.4), NAMES, {0})
    assert (blank == 128).all()
    assert (draw_instances(GREY, one(0, score=0.4), NAMES, {0}, min_score=0.3) != 128).any()


@pytest.mark.parametrize(
    ("shape", "long_edge", "expected"),
    [
        ((120, 160), None, (360, 480)),
        ((600, 800), None, (600, 800)),
        ((600, 800), 400, (300, 400)),
        ((1, 1), None, (480, 480)),
        ((3, 900), None, (3, 900)),
    ],
)
def test_small_images_are_enlarged(shape: tuple[int, int], long_edge: int | None, expected: tuple[int, int]) -> None:
    height, width = shape
    box = (0.0, 0.0, float(width), float(height))
    instances = Instances(
        np.array([box], np.float32), np.array([0]), np.ones(1, np.float32), [ellipse(np.array(box), height, width)]
    )
    image = np.zeros((height, width, 3), np.uint8)
    picture = draw_instances(image, instances, NAMES, {0}, long_edge=long_edge)
    assert picture.shape == (*expected, 3)
    assert picture.dtype == np.uint8


def test_nothing_found_gives_the_image_back() -> None:
    nothing = Instances(np.empty((0, 4), np.float32), np.empty(0, np.int64), np.empty(0, np.float32), [])
    assert (draw_instances(GREY, nothing, NAMES, {0}) == 128).all()


def test_odd_instances_can_be_drawn() -> None:
    """An empty mask, a box past the edge, a name that does not fit, a hundred objects on one place."""
    empty = ellipse(np.array([-30.0, -30, -20, -20]))
    boxes = np.array([(150, 110, 190, 140), (0, 0, 0, 0), *[(30, 40, 110, 100)] * 100], np.float32)
    masks: list[Rle] = [empty, empty, *one(0).masks * 100]
    crowd = Instances(boxes, np.arange(102) % 3, np.linspace(1, 0.5, 102).astype(np.float32), masks)
    assert draw_instances(GREY, crowd, NAMES, {0}).shape == (360, 480, 3)


def test_the_same_input_gives_the_same_picture() -> None:
    assert np.array_equal(draw_instances(GREY, one(1), NAMES, {0}), draw_instances(GREY, one(1), NAMES, {0}))


@pytest.mark.parametrize("box", [(0, 0, 1280, 960), (300, 400, 900, 800), (0, 500, 90, 960), (1270, 0, 1280, 5)])
def test_the_outline_is_what_lies_within_a_lines_width_of_the_masks_edge(box: tuple[int, int, int, int]) -> None:
    """The image's own edge is no edge of the mask."""
    x1, y1, x2, y2 = box
    mask = np.zeros((960, 1280), np.bool_)
    mask[y1:y2, x1:x2] = True
    mask[y1 + (y2 - y1) // 2, x1 + (x2 - x1) // 2] = False
    drawn = draw(np.zeros((960, 1280, 3), np.uint8), [Shape((0, 0, 0, 0), encode_bitmap(mask), True)], 1280)
    around = np.pad(mask, 3, constant_values=True)
    inner = np.all([around[y : y + 960, x : x + 1280] for y in range(7) for x in range(7)], axis=0)
    expected = np.zeros((960, 1280, 3), np.uint8)
    expected[mask] = np.array(GREENS[0]) * OPACITY
    expected[mask & ~inner] = GREENS[0]
    assert np.array_equal(drawn[5:, 5:], expected[5:, 5:])


def test_an_object_of_a_large_image_takes_memory_for_itself_alone() -> None:
    image = np.zeros((3000, 4000, 3), np.uint8)
    mask = np.zeros((3000, 4000), np.bool_)
    mask[100:200, 100:300] = True
    shape = Shape((100, 100, 300, 200), encode_bitmap(mask), True)
    tracemalloc.start()
    draw(image, [shape], 4000)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 4 * image.nbytes


def test_a_label_is_drawn_on_one_line_whatever_its_class_is_called() -> None:
    names = ["coffee\ncup\r\n", "coffee cup", " \n"]
    broken, plain = (draw_instances(GREY, one(label), names, {0, 1}) for label in (0, 1))
    assert np.array_equal(broken, plain)
    draw_instances(GREY, one(2), names, {2}, show_scores=False)
