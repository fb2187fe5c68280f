"""Mask targets: what RoIAlign sees of the object's own mask, without ever making a bitmap of it."""

import tracemalloc
from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from torch import Tensor
from torchvision.models.detection.roi_heads import project_masks_on_boxes

from data_prep.format.records import Rle
from data_prep.format.rle import encode_edges
from maskx_model.masks import targets_cuda as targets_on_gpu
from maskx_model.masks.targets import EDGES_AT_ONCE, mask_targets
from maskx_model.masks.targets_cuda import mask_targets_together
from tests.maskx_model.recorder import Recorder
from tests.maskx_model.samples import bitmap, busy_samples, rle

COORDINATE = st.one_of(st.integers(-70, 140).map(float), st.floats(-70, 140, width=32))
SIDE = st.one_of(st.sampled_from([0.0, -3.0, 1e-3, 1.0, 28.0, 56.0]), st.floats(-5, 400, width=32))


@st.composite
def boxes_anywhere(draw: st.DrawFn) -> Tensor:
    """xyxy [R, 4]: inside the image, past its edges, beside it; tiny, huge, without area, turned round."""
    corners = draw(st.lists(st.tuples(COORDINATE, COORDINATE, SIDE, SIDE), min_size=1, max_size=6))
    return torch.tensor([(x, y, x + w, y + h) for x, y, w, h in corners])


def assert_equal(ours: Tensor, theirs: Tensor) -> None:
    torch.testing.assert_close(ours, theirs, rtol=0.0, atol=2e-6)


def torchvisions(masks: list[Rle], boxes: Tensor, matched: Tensor) -> Tensor:
    bitmaps = torch.from_numpy(np.stack([bitmap(mask) for mask in masks])).to(torch.uint8)
    targets: Tensor = project_masks_on_boxes(bitmaps, boxes, matched, 28)
    return targets


@settings(max_examples=200, deadline=None)
@given(arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=70)), boxes_anywhere(), st.booleans())
def test_targets_equal_torchvisions_for_any_mask_and_any_box(
    drawn: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], boxes: Tensor, solid: bool
) -> None:
    if solid:
        drawn[drawn.shape[0] // 3 :, drawn.shape[1] // 4 :] = True
    masks, matched = [rle(drawn), rle(~drawn)], torch.arange(len(boxes)) % 2
    expected = torchvisions(masks, boxes, matched)
    assert_equal(mask_targets(masks, boxes, matched), expected)


@pytest.mark.parametrize("size", [(800, 1333), (1333, 800)])
def test_targets_equal_torchvisions_on_a_large_image(size: tuple[int, int]) -> None:
    height, width = size
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width]
    rings = [np.hypot(y - cy, x - cx) % 90 < 40 for cy, cx in rng.uniform(0, 800, (3, 2))]
    masks = [rle(ring) for ring in rings]
    corner = rng.uniform(-20, 700, (24, 2))
    boxes = torch.from_numpy(np.concatenate([corner, corner + np.exp(rng.uniform(0, 7, (24, 2)))], 1)).float()
    matched = torch.arange(24) % 3
    expected = torchvisions(masks, boxes, matched)
    assert_equal(mask_targets(masks, boxes, matched), expected)


def test_a_mask_of_very_many_edges_is_summed_in_parts() -> None:
    noise = rle(np.random.default_rng(0).random((120, 130)) > 0.5)
    boxes, only = torch.tensor([[-4.0, 3.0, 128.5, 122.0]]), torch.zeros(1, dtype=torch.int64)
    assert len(noise.counts) > EDGES_AT_ONCE
    assert_equal(mask_targets([noise], boxes, only), torchvisions([noise], boxes, only))


def test_memory_is_that_of_the_rois_not_of_the_image() -> None:
    side = 20_000  # as a bitmap 400 MB
    column = side * np.arange(10_000, 12_000)
    mask = encode_edges(np.stack([column + 10_000, column + 12_000], axis=1).ravel(), (side, side))
    boxes = torch.tensor([[9_990.0, 9_990.0, 10_050.0, 10_050.0]])
    tracemalloc.start()
    targets = mask_targets([mask], boxes, torch.zeros(1, dtype=torch.int64))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4e6
    assert abs(targets.mean().item() - (50 / 60) ** 2) < 0.02


def test_a_mask_that_fills_its_box_is_one_and_what_lies_beside_it_is_zero() -> None:
    mask = np.zeros((40, 40), bool)
    mask[10:20, 10:30] = True
    boxes = torch.tensor([[12.0, 12.0, 28.0, 18.0], [0.0, 22.0, 40.0, 40.0], [12.0, 2.0, 28.0, 28.0]])
    inside, beside, across = mask_targets([rle(mask)], boxes, torch.zeros(3, dtype=torch.int64))
    torch.testing.assert_close(inside, torch.ones(28, 28))
    torch.testing.assert_close(beside, torch.zeros(28, 28))
    assert abs(across.mean().item() - 10 / 26) < 0.02


def test_each_roi_gets_the_mask_it_was_matched_to() -> None:
    (sample,) = busy_samples(4, count=1)
    masks = [sample.masks[0], None, sample.masks[2]]
    targets = mask_targets(masks, sample.boxes[[2, 0, 2]], torch.tensor([2, 0, 2]))
    alone = mask_targets([sample.masks[2]], sample.boxes[[2]], torch.tensor([0]))
    assert torch.equal(targets[0], alone[0]) and torch.equal(targets[2], alone[0])
    assert not torch.equal(targets[1], alone[0])


def test_without_a_roi_there_is_no_target() -> None:
    nothing = mask_targets([None], torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64))
    assert nothing.shape == (0, 28, 28) and nothing.dtype == torch.float32


def test_a_roi_of_an_object_without_a_mask_is_an_error() -> None:
    with pytest.raises(ValueError, match="object 1 has no mask"):
        mask_targets([None, None], torch.tensor([[0.0, 0.0, 5.0, 5.0]]), torch.tensor([1]))


@settings(max_examples=100, deadline=None)
@given(arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=70)), boxes_anywhere())
def test_targets_made_together_are_those_made_one_by_one(
    drawn: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], boxes: Tensor
) -> None:
    other = np.pad(~drawn, ((2, 0), (0, 9)))  # of an image of another size
    masks, matched = [rle(drawn), None, rle(other)], torch.arange(len(boxes)) % 2 * 2
    expected = mask_targets(masks, boxes, matched)
    for values_at_once in (1, 100, 2**20):
        with patch.object(targets_on_gpu, "VALUES_AT_ONCE", values_at_once):
            assert_equal(mask_targets_together(masks, boxes, matched), expected)


def test_no_roi_makes_no_target_together_either() -> None:
    assert mask_targets_together([None], torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64)).shape == (0, 28, 28)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_makes_the_processors_targets() -> None:
    sample = busy_samples(0, size=(300, 400))[0]
    boxes, matched = sample.boxes.repeat(3, 1) + torch.rand(12, 4), torch.arange(12) % 4
    found = mask_targets(sample.masks, boxes.cuda(), matched.cuda())
    torch.testing.assert_close(found.cpu(), mask_targets(sample.masks, boxes, matched), rtol=0, atol=1e-4)


def test_memory_of_targets_made_together_is_bounded() -> None:
    side = 6000
    column = side * np.arange(1000, 5000)
    mask = encode_edges(np.stack([column + 1000, column + 5000], axis=1).ravel(), (side, side))
    boxes = torch.tensor([[900.0, 900.0, 5100.0, 5100.0]]).repeat(200, 1)
    with patch.object(targets_on_gpu, "VALUES_AT_ONCE", 2**16), Recorder() as recorder:
        mask_targets_together([mask], boxes, torch.zeros(200, dtype=torch.int64))
    assert max(recorder.bytes) < 2 * 28 * 8 * 2**16
