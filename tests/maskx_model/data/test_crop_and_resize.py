"""Jitter and scaled decoding: boxes and masks follow the pixels."""

import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from data_prep.format.images import decode_rgb
from data_prep.format.reader import Dataset
from data_prep.format.rle import mask_box
from data_prep.storage.errors import ConfigError
from maskx_model.data.crop_and_resize import EDGE, Window, random_window, through
from maskx_model.data.loader import TrainingBatches
from maskx_model.data.loading import PLAIN, Loading, NetworkSize, loading_of
from maskx_model.data.reader import SampleReader
from maskx_model.data.samples import Sample
from maskx_model.model.detector import build_detector
from maskx_model.schedules import MaskSchedule, Schedule
from tests.maskx_model.samples import bitmap, busy_samples
from tests.maskx_model.synthetic_dataset import DETECTOR

GREY_LEVELS = 3.0
"""How far a JPEG decoded at half its size is from one resized to it, on average over the pixels."""


def test_a_window_inside_shows_that_part() -> None:
    (sample,) = busy_samples(0, count=1)
    seen = through(sample, Window(10.2, 5.4, 40, 30))
    assert np.array_equal(seen.image, sample.image[5:35, 10:50])
    assert len(seen.boxes) == len(seen.labels) == len(seen.masks) <= len(sample.boxes)
    assert (seen.boxes >= 0).all() and (seen.boxes[:, 2] <= 40).all() and (seen.boxes[:, 3] <= 30).all()
    parts = [bitmap(mask)[5:35, 10:50] for mask in sample.masks if mask is not None]
    expected = [part for part in parts if part.any()]
    masks = [bitmap(mask) for mask in seen.masks if mask is not None]
    assert len(masks) == len(expected)
    assert all(np.array_equal(a, b) for a, b in zip(masks, expected, strict=True))


def test_a_window_around_shows_all_with_an_edge() -> None:
    (sample,) = busy_samples(0, count=1)
    height, width = sample.image.shape[:2]
    seen = through(sample, Window(-20, -10, width + 30, height + 30))
    assert seen.image.shape == (height + 30, width + 30, 3)
    assert np.array_equal(seen.image[10 : height + 10, 20 : width + 20], sample.image)
    assert (seen.image[:10] == np.array(EDGE)).all() and (seen.image[:, :20] == np.array(EDGE)).all()
    assert torch.equal(seen.boxes, sample.boxes + torch.tensor([20, 10, 20, 10]))
    assert [bitmap(mask).sum() for mask in seen.masks if mask] == [bitmap(mask).sum() for mask in sample.masks if mask]


def test_objects_out_of_sight_go_with_all_that_is_theirs() -> None:
    (sample,) = busy_samples(0, count=1)
    weighted = replace(sample, mask_weights=tuple(float(n) for n in range(len(sample.labels))))
    x1, y1, x2, y2 = sample.boxes[0].tolist()
    seen = through(weighted, Window(x1, y1, x2 - x1, y2 - y1))
    assert 0.0 in seen.mask_weights and len(seen.mask_weights) == len(seen.boxes)
    nothing = through(weighted, Window(-500, -500, 100, 100))
    assert nothing.boxes.shape == (0, 4) and nothing.masks == () and nothing.mask_weights == ()


def test_windows_are_as_large_as_the_jitter_allows_and_touch_the_image() -> None:
    generator = np.random.default_rng(0)
    windows = [random_window(generator, 1.0, 640, 480) for _ in range(300)]
    factors = np.array([640 / window.width for window in windows])
    assert factors.min() == pytest.approx(0.5, rel=0.05) and factors.max() == pytest.approx(2, rel=0.05)
    assert abs(np.log(factors).mean()) < 0.1
    for window in windows:
        assert window.width / window.height == pytest.approx(640 / 480)
        inside = window.width <= 640
        edges = (window.left, window.top, 640 - window.left - window.width, 480 - window.top - window.height)
        assert all((edge >= -1e-6) == inside or abs(edge) < 1e-6 for edge in edges)


def samples_of(data: Dataset, loading: Loading, flip: bool = True) -> list[Sample]:
    reader = SampleReader(data, "coco", frozenset(range(len(data.vocabulary))))
    return TrainingBatches(reader, data.select("train", "coco"), 12, 3, flip, loading=loading)[0]


def test_jitter_shows_the_same_images_at_other_sizes(toy_dataset: Dataset) -> None:
    plain, jittered = samples_of(toy_dataset, PLAIN), samples_of(toy_dataset, replace(PLAIN, jitter=1.0))
    assert [sample.key for sample in plain] == [sample.key for sample in jittered]
    assert len({sample.image.shape for sample in jittered}) > 6
    for sample in jittered:
        height, width = sample.image.shape[:2]
        assert (sample.boxes[:, 2] <= width).all() and (sample.boxes[:, 3] <= height).all()
        assert all(mask is None or mask.size == (height, width) for mask in sample.masks)
    again = samples_of(toy_dataset, replace(PLAIN, jitter=1.0))
    assert all(np.array_equal(a.image, b.image) for a, b in zip(jittered, again, strict=True))


def test_images_are_decoded_small_where_the_network_sees_them_smaller_still(toy_dataset: Dataset) -> None:
    plain = samples_of(toy_dataset, PLAIN)
    size = NetworkSize(64, 128)
    assert {sample.image.shape[:2] for sample in plain} == {(128, 128), (96, 128)}
    half = samples_of(toy_dataset, replace(PLAIN, network_size=size))
    halved = [(a, b) for a, b in zip(half, plain, strict=True) if b.image.shape[0] == 128]
    assert len(halved) > 4
    for small, large in halved:
        assert small.image.shape == (64, 64, 3)
        torch.testing.assert_close(2 * small.boxes, large.boxes)
        resized = np.array(Image.fromarray(large.image).reduce(2), np.float64)
        assert np.abs(small.image - resized).mean() < GREY_LEVELS
        for mask, box in zip(small.masks, small.boxes.tolist(), strict=True):
            if mask is not None:
                x, y, across, down = mask_box(mask)
                assert mask.size == (64, 64)
                assert np.allclose((x, y, x + across, y + down), box, atol=1.6)
    others = [(a, b) for a, b in zip(half, plain, strict=True) if b.image.shape[0] == 96]  # seen at 64 of 96 pixels
    assert all(np.array_equal(a.image, b.image) and a.masks == b.masks for a, b in others)


@pytest.mark.parametrize(("scale", "by"), [(0.6, 1), (0.5, 2), (0.3, 2), (0.25, 4), (0.01, 8)])
def test_a_jpeg_is_decoded_at_the_least_size_that_is_enough(scale: float, by: int) -> None:
    buffer = io.BytesIO()
    Image.new("L", (640, 480)).save(buffer, "JPEG")
    assert decode_rgb(buffer.getvalue(), "grey", scale=scale).shape == (480 // by, 640 // by, 3)
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48)).save(buffer, "PNG")
    assert decode_rgb(buffer.getvalue(), "no jpeg", scale=scale).shape == (48, 64, 3)


def test_a_schedules_options_are_for_the_detectors_size() -> None:
    detector = build_detector(DETECTOR, 3, load_weights=False)
    schedule = Schedule(1, group_by_shape=True, scaled_decoding=True, jitter=0.5, repeat_threshold=0.1)
    assert loading_of(schedule, detector) == Loading(True, NetworkSize(96, 128), 0.5, 0.1, 0.01)
    assert loading_of(Schedule(1), detector) == PLAIN


@pytest.mark.parametrize(("name", "value"), [("jitter", -0.1), ("repeat_threshold", 2.0), ("max_set_aside", -1.0)])
def test_numbers_out_of_range_are_refused(name: str, value: float) -> None:
    changed: dict[str, Any] = {name: value}
    with pytest.raises(ConfigError, match=f"{name}: .* is allowed"):
        Schedule(1, **changed)


def test_cached_features_are_of_images_as_they_are() -> None:
    with pytest.raises(ConfigError, match="jitter: with cache_rois each image is read once and as it is"):
        MaskSchedule(1, cache_rois=True, jitter=0.5)
