"""The classification losses of the box head: over every class at every RoI, or over some (`DetectorConfig`).

`softmax`, the paper's: cross-entropy over background and all K classes. It suppresses, at a RoI, every class
but the RoI's own. That is right where each image is annotated with all its objects of all classes, as COCO is. It is
wrong where classes were not annotated (LVIS, Visual Genome), and hard on rare classes, which are rarely positives.

`sampled`: the softmax over background, the positive classes of the batch, and N more classes drawn with a probability
that grows with the root of their frequency. One set for all RoIs of the batch.

`federated`: for each image the softmax over background and the classes that are known there: those annotated in it,
and those that its record lists as absent. A class of which not every object is annotated there is left
out at RoIs that matched nothing: they may show it. RoIs that matched an object of another class do count against it.
Where a record names no absent class, N more classes are drawn instead, as in `sampled`: that is the Federated
Loss of Zhou et al., Probabilistic two-stage detection, 2021. Theirs draws so many that there are 50 together with the
annotated ones, and has a sigmoid for each class; ours draws N besides, whatever is annotated, and keeps the softmax.

So inference is the same for all three: the softmax over all classes. Logits are not corrected for how likely a class
was drawn, as in Zhou et al. Both `sampled` and `federated` compute the classifier's rows of the classes in question
alone: the products do not depend on K (only the gradient of all rows, zero elsewhere, does), and no other row gets a
gradient. With every class in the softmax all three are equal.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from data_prep.format.index import IndexRow
from data_prep.format.vocabulary import Vocabulary
from maskx_model.config import DetectorConfig

FREQUENCY_POWER = 0.5
"""Zhou et al. 2021: classes are drawn by the root of the number of images that show them."""

ClassificationLoss = Callable[[nn.Linear, Tensor, Sequence[Tensor], Sequence[dict[str, Tensor]]], Tensor]
"""The classifier, features of RoIs [R, D] (at least one), and for each image the labels of its RoIs, int64 [R_i]
(0 is background), and its target as `Sample.target` has it → the mean over all RoIs, a float32 scalar."""


def softmax_loss(
    classifier: nn.Linear, features: Tensor, labels: Sequence[Tensor], _targets: Sequence[dict[str, Tensor]]
) -> Tensor:
    """Computes the cross-entropy over background and all classes: a `ClassificationLoss`."""
    return F.cross_entropy(classifier(features).float(), torch.cat(list(labels)))


@dataclass(frozen=True)
class ClassSampler:
    """Draws `count` distinct labels by `weights`, float32 [K + 1]: background's is 0, no other is."""

    weights: Tensor
    count: int

    @classmethod
    def of(cls, image_counts: Tensor, count: int) -> "ClassSampler":
        """Computes weights from the number of images that show each label, int64 [K + 1].

        A class that no image shows counts as shown by one: if it were never drawn, it would never be separated from
        background.
        """
        weights = image_counts.clamp(min=1).float() ** FREQUENCY_POWER
        weights[0] = 0
        return cls(weights, count)

    def others(self, known: Tensor) -> Tensor:
        """Draws `count` labels that are not `known`, int64 [L], or all if there are fewer: int64."""
        weights = self.weights.to(known.device, copy=True)
        weights[known] = 0
        count = min(self.count, int(weights.count_nonzero()))
        return torch.multinomial(weights, count) if count else known.new_empty(0)


def sampled_loss(
    sampler: ClassSampler,
    classifier: nn.Linear,
    features: Tensor,
    labels: Sequence[Tensor],
    _targets: Sequence[dict[str, Tensor]],
) -> Tensor:
    """Computes the cross-entropy over background, the batch's positive classes and drawn ones: a
    `ClassificationLoss`."""
    own = torch.cat(list(labels))
    positive = own[own > 0].unique()
    columns = _with_background(positive, sampler.others(positive)).unique()
    return F.cross_entropy(_logits(classifier, features, columns), torch.searchsorted(columns, own))


def federated_loss(
    sampler: ClassSampler,
    classifier: nn.Linear,
    features: Tensor,
    labels: Sequence[Tensor],
    targets: Sequence[dict[str, Tensor]],
) -> Tensor:
    """Computes the cross-entropy over background and the classes known in each image: a `ClassificationLoss`.

    Of the targets it needs `labels`, `negative` and `not_exhaustive`.
    """
    own = torch.cat(list(labels))
    verified = [_with_background(*_verified(sampler, target)) for target in targets]
    columns = torch.cat(verified).unique()
    # For each image, which columns count: [I, L].
    matched = torch.stack([torch.isin(columns, known) for known in verified])
    partly = torch.stack([torch.isin(columns, target["not_exhaustive"]) for target in targets])
    image = torch.repeat_interleave(torch.tensor([len(each) for each in labels], device=own.device))
    counted = torch.where((own > 0)[:, None], matched[image], (matched & ~partly)[image])
    logits = _logits(classifier, features, columns).masked_fill(~counted, -torch.inf)
    return F.cross_entropy(logits, torch.searchsorted(columns, own))


def _verified(sampler: ClassSampler, target: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Returns the labels annotated in the image, and those listed as absent (drawn ones without a list): int64 each."""
    positive = target["labels"][target["labels"] > 0]
    if len(target["negative"]):
        return positive, target["negative"]
    return positive, sampler.others(torch.cat([positive, target["not_exhaustive"]]))


def _with_background(*labels: Tensor) -> Tensor:
    return torch.cat([labels[0].new_zeros(1), *labels])


def _logits(classifier: nn.Linear, features: Tensor, columns: Tensor) -> Tensor:
    """Computes the logits float32 [R, L] of labels `columns`, int64 [L], only, from features [R, D]."""
    return F.linear(features, classifier.weight[columns], classifier.bias[columns]).float()


def choose_loss(
    config: DetectorConfig, rows: Sequence[IndexRow], source: str, vocabulary: Vocabulary
) -> ClassificationLoss:
    """Returns the configured loss; class frequencies are those of `source`'s annotations in the training rows."""
    if config.classification_loss == "softmax":
        return softmax_loss
    sampler = ClassSampler.of(image_counts_by_label(rows, source, vocabulary), config.loss_classes)
    return partial(sampled_loss if config.classification_loss == "sampled" else federated_loss, sampler)


def image_counts_by_label(rows: Sequence[IndexRow], source: str, vocabulary: Vocabulary) -> Tensor:
    """Counts the images that show each label in `source`'s annotations: int64 [K + 1], background 0."""
    index = vocabulary.index(source)
    shown = ({index[name] + 1 for name in row.classes.get(source, []) if name in index} for row in rows)
    labels = [label for each in shown for label in each]
    return torch.tensor(labels, dtype=torch.int64).bincount(minlength=len(vocabulary) + 1)
