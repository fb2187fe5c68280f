"""Which anchors and proposals train: torchvision's rule, with draws of their own for each image of the whole batch."""

import torch
from torch import Tensor
from torchvision.models.detection._utils import BalancedPositiveNegativeSampler

from maskx_model.model.sampling import ImageSampler


def labels_of(image: int) -> Tensor:
    """Labels -1, 0 and 1 of 300 anchors."""
    return torch.randint(-1, 2, (300,), generator=torch.Generator().manual_seed(image))


def drawn(images: range, first: int = 0) -> list[Tensor]:
    sampler = ImageSampler(64, 0.25)
    sampler.first_image = first
    torch.manual_seed(5)
    positive, negative = sampler([labels_of(image) for image in images])
    return [torch.stack(pair) for pair in zip(positive, negative, strict=True)]


def test_as_many_are_drawn_as_torchvision_draws_and_of_the_same_kinds() -> None:
    labels = [labels_of(0), torch.zeros(40, dtype=torch.int64), -torch.ones(9, dtype=torch.int64), torch.ones(100)]
    ours, theirs = ImageSampler(64, 0.25), BalancedPositiveNegativeSampler(64, 0.25)
    for own, other in zip(ours(labels), theirs(labels), strict=True):
        assert [int(mask.sum()) for mask in own] == [int(mask.sum()) for mask in other]
    positive, negative = ours(labels)
    for mask, kind in ((positive, 1), (negative, 0)):
        assert all(bool((each[chosen > 0] == kind).all()) for each, chosen in zip(labels, mask, strict=True))
    assert [ours.counts(each) for each in labels] == [
        (int(a.sum()), int(b.sum())) for a, b in zip(positive, negative, strict=True)
    ]


def test_a_process_with_a_part_of_the_batch_draws_what_one_with_all_of_it_does() -> None:
    whole = drawn(range(4))
    parts = drawn(range(2)) + drawn(range(2, 4), first=2)
    assert all(torch.equal(a, b) for a, b in zip(whole, parts, strict=True))


def test_images_and_calls_are_drawn_apart() -> None:
    sampler, labels = ImageSampler(64, 0.25), torch.ones(300, dtype=torch.int64)
    torch.manual_seed(0)
    (first, second), _ = sampler([labels, labels])
    (again, _), _ = sampler([labels, labels])
    assert not torch.equal(first, second) and not torch.equal(first, again)


def test_every_candidate_is_drawn_as_often_as_any_other() -> None:
    sampler, labels = ImageSampler(10, 1.0), torch.ones(40, dtype=torch.int64)
    torch.manual_seed(0)
    often = torch.stack([sampler([labels])[0][0] for _ in range(2000)]).float().mean(0)
    assert (often - 0.25).abs().max() < 0.05
