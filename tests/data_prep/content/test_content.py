"""A copy of a held-out image is found by what it shows; its neighbor in a burst is not one."""

import itertools

import numpy as np
import pytest

from data_prep.content.comparison import has_texture, same_picture
from data_prep.content.search import LEAST_SIDE, HeldOutPictures, describe
from data_prep.content.thumbnail import thumbnail
from data_prep.format.images import decode_luminance
from tests.data_prep.pictures import CROPS, Picture, burst, copied, encoded, gradient, scene

SCENES = range(30)


def grey(jpeg: bytes) -> Picture:
    return decode_luminance(jpeg, "photo", LEAST_SIDE).grey


def held_out(*pictures: Picture) -> HeldOutPictures:
    rows = [describe(number, grey(encoded(picture))) for number, picture in enumerate(pictures)]
    return HeldOutPictures([np.concatenate(rows)], [f"val-{number}" for number in range(len(pictures))])


@pytest.fixture(scope="module")
def gallery() -> HeldOutPictures:
    return held_out(*map(scene, SCENES))


@pytest.mark.parametrize(("crop", "scale"), itertools.product(CROPS, (0.5, 1.0, 2.0)))
def test_a_resized_recompressed_cropped_copy_is_found(gallery: HeldOutPictures, crop: str, scale: float) -> None:
    for seed in SCENES:
        assert gallery.copied_by(grey(copied(scene(seed), crop, scale))) == f"val-{seed}"


@pytest.mark.parametrize("color", [0, 255])
def test_an_image_with_a_frame_around_it_is_found_with_a_part_of_the_frame(color: int) -> None:
    for seed in range(6):
        framed = scene(seed)
        framed[:6] = framed[-6:] = framed[:, :6] = framed[:, -6:] = color
        for crop in ("left", "corner", "unequal", "all round"):
            assert held_out(framed).copied_by(grey(copied(framed, crop))) == "val-0"


def test_another_image_is_a_copy_of_none(gallery: HeldOutPictures) -> None:
    assert [gallery.copied_by(grey(encoded(scene(seed)))) for seed in range(100, 200)] == [None] * 100


def test_a_frame_that_differs_in_its_noise_alone_is_a_copy() -> None:
    for seed in range(10):
        assert held_out(burst(seed)).copied_by(grey(encoded(burst(seed, frame=1), 85))) == "val-0"


@pytest.mark.parametrize(
    "moved",
    [
        {"camera": 0.02},
        {"camera": -0.01, "parallax": 0.02},
        {"parallax": 0.03},
        {"subject": 0.03},
        {"camera": 0.03, "parallax": 0.02, "subject": -0.05},
    ],
)
def test_the_next_frame_of_a_burst_is_no_copy(moved: dict[str, float]) -> None:
    for seed in range(10):
        assert held_out(burst(seed)).copied_by(grey(encoded(burst(seed, frame=1, **moved), 85))) is None


def test_a_crop_well_beyond_five_per_cent_is_no_copy(gallery: HeldOutPictures) -> None:
    for seed in SCENES:
        assert gallery.copied_by(grey(encoded(scene(seed)[:, 35:]))) is None


FLAT = {
    "dusk": gradient(40, 90, 1),
    "noon": gradient(130, 220, 2),
    "evening": gradient(135, 215, 3),
    "haze": gradient(200, 200, 4),
    "fog": gradient(202, 200, 5),
    "black": np.zeros((240, 320, 3), np.uint8),
    "night": gradient(2, 4, 6),
}


@pytest.mark.parametrize("name", FLAT)
def test_a_picture_without_texture_is_found_where_it_is_equal_and_nowhere_else(name: str) -> None:
    assert not has_texture(thumbnail(grey(encoded(FLAT[name]))))
    others = held_out(*(FLAT[other] for other in FLAT if other != name), scene(0))
    assert others.copied_by(grey(encoded(FLAT[name]))) is None
    assert others.copied_by(grey(copied(FLAT[name], scale=0.5))) is None
    assert held_out(scene(0), FLAT[name]).copied_by(grey(encoded(FLAT[name]))) == "val-1"


def test_two_skies_with_a_bird_each_are_two_pictures() -> None:
    first, second = FLAT["noon"].copy(), FLAT["evening"].copy()
    first[60:100, 100:180] = scene(1)[60:100, 100:180]
    second[120:160, 160:240] = scene(1)[60:100, 100:180]
    assert has_texture(thumbnail(grey(encoded(first))))
    assert held_out(first).copied_by(grey(encoded(second))) is None
    assert held_out(first).copied_by(grey(copied(first, "corner", 0.5))) == "val-0"


def test_nothing_is_a_copy_where_nothing_is_held_out() -> None:
    assert HeldOutPictures([], []).copied_by(grey(encoded(scene(0)))) is None


def test_the_first_of_two_equal_held_out_images_is_named() -> None:
    assert held_out(scene(3), scene(3)).copied_by(grey(copied(scene(3), scale=0.5))) == "val-0"


def test_two_files_of_one_image_agree_even_cropped_and_two_images_do_not() -> None:
    for seed in SCENES:
        one = thumbnail(grey(encoded(scene(seed))))
        assert all(same_picture(one, thumbnail(grey(copied(scene(seed), crop, 0.5)))) for crop in CROPS)
    pairs = itertools.combinations(SCENES, 2)
    small = [thumbnail(grey(encoded(scene(seed)))) for seed in SCENES]
    disagree = [not same_picture(small[a], small[b]) for a, b in pairs]
    assert np.mean(disagree) > 0.9


def test_pictures_without_texture_agree_with_each_other_but_not_with_an_image() -> None:
    sky, night = (thumbnail(grey(encoded(FLAT[name]))) for name in ("noon", "night"))
    assert same_picture(sky, night)
    assert not same_picture(night, thumbnail(grey(encoded(scene(0)))))
