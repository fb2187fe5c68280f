"""What the mask head trains on: RoIs of A, each with the mask of the very object it was matched to (§3.2)."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from data_prep.format.reader import Dataset
from maskx_model.data.reader import SampleReader
from maskx_model.data.samples import Sample
from maskx_model.masks.targets import mask_targets
from maskx_model.model.crowds import CROWD_LABEL
from maskx_model.model.mask_branch import MASK_SIZE, MaskBranch
from maskx_model.model.mask_loss import mask_loss
from maskx_model.model.transfer import class_embeddings
from maskx_model.schedules import RoiKind
from maskx_model.training.roi_cache import cache_rois
from maskx_model.training.roi_sampling import RoiBatch, sampled_rois
from tests.maskx_model.samples import busy_samples, frozen_detector, read_sample, rle, sample, with_other_masks
from tests.maskx_model.tiny_presets import DETECTOR, MASK

BOTH_WAYS = pytest.mark.parametrize("cached_proposals", [None, 1])
EVERY_WAY = pytest.mark.parametrize(
    ("cached_proposals", "kind"), [(n, kind) for n in (None, 1) for kind in ("proposals", "gt", "jittered")]
)
EVERYWHERE, NOWHERE = rle(np.ones((64, 64), dtype=bool)), rle(np.zeros((64, 64), dtype=bool))


def rois_of(
    samples: Sequence[Sample], cached_proposals: int | None = None, classes: int = 5, kind: RoiKind = "proposals"
) -> RoiBatch:
    detector = frozen_detector(classes)
    torch.manual_seed(0)
    return sampled_rois(detector, samples, cached_proposals, kind)


def gradients(rois: RoiBatch, classes: int) -> list[Tensor]:
    """Of the mask loss, by every parameter of a mask branch."""
    torch.manual_seed(0)
    branch = MaskBranch(MASK, DETECTOR.fpn_channels, DETECTOR.box_dim, classes)
    logits = branch(rois.features, rois.labels, class_embeddings(frozen_detector(classes), MASK))
    return list(torch.autograd.grad(mask_loss(logits, rois.targets), list(branch.parameters())))


@EVERY_WAY
def test_no_mask_of_b_reaches_a_gradient(toy_dataset: Dataset, cached_proposals: int | None, kind: RoiKind) -> None:
    names = toy_dataset.vocabulary.names
    mask_classes = frozenset(range(0, len(names), 2))
    reader = SampleReader(toy_dataset, "coco", mask_classes)
    rows = toy_dataset.select("train", "coco")[:10]
    records = [toy_dataset.read_record(row) for row in rows]

    def batch(of: set[str]) -> RoiBatch:
        samples = [
            reader.from_record(read_sample(reader, row).image, with_other_masks(record, of))
            for row, record in zip(rows, records, strict=True)
        ]
        return rois_of(samples, cached_proposals, len(names), kind)

    def classes_of(positions: frozenset[int]) -> set[str]:
        return {name for name, position in reader.index.items() if position in positions}

    before = gradients(batch(set()), len(names))
    planted_in_b = gradients(batch(classes_of(frozenset(range(len(names))) - mask_classes)), len(names))
    planted_in_a = gradients(batch(classes_of(mask_classes)), len(names))
    assert all(torch.equal(a, b) for a, b in zip(before, planted_in_b, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(before, planted_in_a, strict=True))


def test_the_planted_masks_were_there_to_be_seen(toy_dataset: Dataset) -> None:
    reader = SampleReader(toy_dataset, "coco", frozenset(range(0, len(toy_dataset.vocabulary), 2)))
    samples = [read_sample(reader, row) for row in toy_dataset.select("train", "coco")]
    seen = [mask is not None for s in samples for mask in s.masks]
    mask_classes = [label > 0 and label % 2 == 1 for s in samples for label in s.labels.tolist()]
    assert seen == mask_classes and 0 < sum(mask_classes) < len(mask_classes)


@EVERY_WAY
@pytest.mark.parametrize("b_first", [False, True])
def test_a_target_comes_from_the_object_matched_even_where_b_overlaps_more(
    cached_proposals: int | None, kind: RoiKind, b_first: bool
) -> None:
    """A's mask is everywhere, B's nowhere: a single zero in a target would be B's. B is not hidden here on purpose."""
    a, b = (8.0, 8.0, 40.0, 40.0), (10.0, 9.0, 42.0, 41.0)
    objects = [(a, 1, EVERYWHERE), (b, 2, None)]
    boxes, labels, masks = zip(*(objects[::-1] if b_first else objects), strict=True)
    rois = rois_of([sample(boxes, labels, masks)], cached_proposals, kind=kind)
    assert len(rois) > 0
    assert set(rois.labels.tolist()) == {1}
    assert bool((rois.targets == 1).all())


@BOTH_WAYS
def test_neighbours_keep_their_own_masks(cached_proposals: int | None) -> None:
    boxes = [(8.0, 8.0, 40.0, 40.0), (12.0, 10.0, 44.0, 42.0), (20.0, 24.0, 60.0, 60.0)]
    rois = rois_of([sample(boxes, [1, 2, 3], [EVERYWHERE, NOWHERE, None])] * 3, cached_proposals)
    assert len(rois) > 6  # more than the ground-truth boxes alone
    assert torch.equal(rois.targets, (rois.labels == 1).float()[:, None, None].expand_as(rois.targets))


@EVERY_WAY
def test_a_crowd_is_never_a_roi(cached_proposals: int | None, kind: RoiKind) -> None:
    crowd = sample([(0, 0, 60, 60), (20, 20, 50, 50)], [CROWD_LABEL, 4], [EVERYWHERE, NOWHERE])
    rois = rois_of([crowd], cached_proposals, kind=kind)
    assert set(rois.labels.tolist()) == {4}
    assert not rois.targets.any()


@EVERY_WAY
def test_images_without_objects_or_masks_give_an_empty_batch(cached_proposals: int | None, kind: RoiKind) -> None:
    nothing = [sample([], []), sample([(5, 5, 30, 30)], [2]), sample([(0, 0, 60, 60)], [CROWD_LABEL], [EVERYWHERE])]
    rois = rois_of(nothing, cached_proposals, kind=kind)
    assert rois.features.shape == (0, DETECTOR.fpn_channels, 14, 14)
    assert rois.targets.shape == (0, MASK_SIZE, MASK_SIZE)
    assert all(not g.any() for g in gradients(rois, 5))


def test_targets_fit_images_of_other_sizes_than_the_networks() -> None:
    """With no proposals the RoIs are the ground-truth boxes: scaled for the network and back for the mask."""
    samples = busy_samples(5, count=4)
    rois = rois_of(samples, cached_proposals=0)
    expected = [mask_targets(s.masks, s.boxes, torch.arange(4)) for s in samples]
    torch.testing.assert_close(rois.targets, torch.cat(expected), atol=2e-3, rtol=0)
    assert torch.equal(rois.labels, torch.cat([s.labels for s in samples]))


def test_each_object_gives_its_box_and_at_most_that_many_proposals() -> None:
    box = (16.0, 16.0, 44.0, 44.0)
    counts = [len(rois_of([sample([box], [1], [EVERYWHERE])], n)) for n in (0, 1, 2)]
    assert counts == [1, 2, 3]


def test_cached_rois_are_the_sampled_ones_in_half_precision() -> None:
    groups = [busy_samples(seed) for seed in range(3)]
    torch.manual_seed(0)
    cache = cache_rois(frozen_detector(), iter(groups), per_object=0)
    direct = rois_of([s for group in groups for s in group], 0)
    assert cache.features.dtype == torch.float16
    assert torch.equal(cache.labels, direct.labels) and torch.equal(cache.targets, direct.targets)
    picked = cache.select(torch.tensor([3, 0]))
    assert torch.equal(picked.labels, cache.labels[[3, 0]]) and torch.equal(picked.targets, cache.targets[[3, 0]])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_cached_rois_of_a_detector_on_a_gpu_are_in_the_cpus_memory() -> None:
    cache = cache_rois(frozen_detector().to("cuda"), iter([busy_samples(0)]), per_object=0)
    columns = (cache.features, cache.labels, cache.targets, cache.weights)
    assert len(cache) > 0 and {each.device.type for each in columns} == {"cpu"}


@EVERY_WAY
def test_the_rois_of_an_image_do_not_depend_on_the_images_beside_it(
    cached_proposals: int | None, kind: RoiKind
) -> None:
    (small,), (large,) = busy_samples(0, 1, size=(60, 70)), busy_samples(1, 1, size=(60, 200))
    alone, beside = rois_of([small], cached_proposals, kind=kind), rois_of([small, large], cached_proposals, kind=kind)
    assert 0 < len(alone) < len(beside)
    for name in ("features", "labels", "targets", "weights"):
        assert torch.equal(getattr(alone, name), getattr(beside, name)[: len(alone)])


def test_sampling_leaves_the_frozen_detector_as_it_was() -> None:
    detector = frozen_detector()
    before = {name: value.clone() for name, value in detector.state_dict().items()}
    sampled_rois(detector, busy_samples(0))
    assert all(torch.equal(value, before[name]) for name, value in detector.state_dict().items())
