"""From an image to masks over it: 81 against 3,001 classes, and against torchvision's Mask R-CNN.

Weights are random, but the last layer of the box head is planted: it finds the same objects of the first 80 classes
whatever the number of classes is, so that all ways return the same detections. torchvision's model holds T's
predicted weights as the rows of its last mask layer. Ours gives run-length encoded masks, torchvision's bitmaps.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import tyro
from torch import Tensor, nn
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.image_list import ImageList

from benchmarks.costs import Cost, cost, show
from benchmarks.mask_targets import bitmaps
from benchmarks.settings import print_settings
from benchmarks.torchvisions import torchvisions_model
from benchmarks.way import MODELS, Way
from data_prep.format.records import Rle
from maskx_model.config import DetectorConfig, MaskConfig, ModelConfig
from maskx_model.data.samples import to_tensor
from maskx_model.masks.pasting import MASK_THRESHOLD
from maskx_model.model.maskx_rcnn import Encoded, MaskXRCNN
from maskx_model.results.instances import Instances
from maskx_model.results.predict import predict, segment_boxes

FOUND = 80
"""The classes that are found, the first ones."""

ABSENT = -40.0
"""Bias of every other class: no image shows it."""


@dataclass(frozen=True)
class Options:
    """An image of `height` × `width`, scaled to `min_size` pixels at its shorter side; `proposals` of the RPN, and at
    most `detections` of them kept; `classes` with the background, the first for the comparison, the second for what
    more classes cost."""

    height: int = 480
    width: int = 640
    min_size: int = 800
    proposals: int = 1000
    detections: int = 100
    classes: tuple[int, int] = (81, 3001)
    repeats: int = 3
    device: str = "cpu"


class Found(NamedTuple):
    """Detections of one image: boxes xyxy [N, 4] in its pixels, labels [N], scores [N], masks bool [N, H, W] or
    run-length encoded."""

    boxes: Tensor
    labels: Tensor
    scores: Tensor
    masks: Tensor | list[Rle]


def noise_image(options: Options) -> npt.NDArray[np.uint8]:
    """Smooth noise, uint8 [H, W, 3]: differs from place to place, as images do."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, 3, options.height // 32 + 1, options.width // 32 + 1, generator=generator)
    fine = nn.functional.interpolate(coarse, size=(options.height, options.width), mode="bilinear")[0]
    image: npt.NDArray[np.uint8] = (255 * fine).byte().permute(1, 2, 0).numpy()
    return image


@torch.no_grad()
def our_model(classes: int, options: Options) -> MaskXRCNN:
    """Mask^X R-CNN from a fixed seed, MLP off; its first 80 classes do not depend on how many there are."""
    config = DetectorConfig(
        weights=None,
        min_size=options.min_size,
        rpn_proposals_test=options.proposals,
        detections_per_image=options.detections,
    )
    torch.manual_seed(0)
    few = MaskXRCNN(ModelConfig(config, MaskConfig(mlp="none")), FOUND)
    model = MaskXRCNN(few.config, classes - 1)
    shapes = {name: value.shape for name, value in model.state_dict().items()}
    same_shape = {name: value for name, value in few.state_dict().items() if value.shape == shapes[name]}
    model.load_state_dict(same_shape, strict=False)
    model.to(options.device).to(memory_format=torch.channels_last).eval()
    plant(model, options)
    return model


@torch.no_grad()
def plant(model: MaskXRCNN, options: Options) -> None:
    """Set the box predictor so that proposals of the image score as those of a trained detector: most are
    background, and each of the others is of one of the first 80 classes."""
    encoded = model.encode([to_tensor(noise_image(options), torch.device(options.device))])
    heads = model.detector.roi_heads
    proposals, _ = model.detector.rpn(ImageList(encoded.tensors, encoded.sizes), encoded.pyramid)
    vectors = heads.box_head(heads.box_roi_pool(encoded.pyramid, proposals, encoded.sizes))
    mean, deviation = vectors.mean(0), vectors.std()
    cls, box = heads.box_predictor.cls_score, heads.box_predictor.bbox_pred
    scale = deviation * len(mean) ** 0.5
    cls.weight.copy_(8 * gaussian(cls.weight.shape, seed=1).to(options.device) / scale)
    box.weight.copy_(0.1 * gaussian(box.weight.shape, seed=2).to(options.device) / scale)
    for weight in (cls.weight, box.weight):  # orthogonal to the mean: bfloat16 cannot cancel large numbers
        weight.sub_((weight @ mean)[:, None] * mean / mean.square().sum())
    cls.weight[0] = 0
    cls.bias.copy_(-cls.weight @ mean)
    best = (vectors @ cls.weight[1 : FOUND + 1].T + cls.bias[1 : FOUND + 1]).amax(1)
    cls.bias[0] = best.quantile(0.7)
    cls.bias[FOUND + 1 :] += ABSENT
    box.bias.copy_(-box.weight @ mean)


def gaussian(shape: torch.Size, seed: int) -> Tensor:
    """Random numbers; more rows do not change the first ones."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def ours_after(model: MaskXRCNN, encoded: Encoded) -> Found:
    """Our way from the pyramid to masks over the image."""
    return found_by(segment_boxes(model, encoded, model.detect(encoded)[0]))


def found_by(instances: Instances) -> Found:
    """Our instances for the comparison."""
    boxes, scores = torch.from_numpy(instances.boxes), torch.from_numpy(instances.scores)
    return Found(boxes, torch.from_numpy(instances.labels + 1), scores, instances.masks)


@torch.no_grad()
def torchvisions_encoded(model: MaskRCNN, image: Tensor) -> Encoded:
    """torchvision's way from an image to the pyramid, as in its own `forward`."""
    batch, _ = model.transform([image])
    original = [(image.shape[-2], image.shape[-1])]
    return Encoded(batch.tensors, model.backbone(batch.tensors), batch.image_sizes, original)


@torch.no_grad()
def torchvisions_after(model: MaskRCNN, encoded: Encoded) -> Found:
    """torchvision's way from the pyramid to masks over the image, as in its own `forward`."""
    proposals, _ = model.rpn(ImageList(encoded.tensors, encoded.sizes), encoded.pyramid)
    detections, _ = model.roi_heads(encoded.pyramid, proposals, encoded.sizes)
    (found,) = model.transform.postprocess(detections, encoded.sizes, encoded.original_sizes)
    masks = found["masks"][:, 0].cpu() > MASK_THRESHOLD
    return Found(found["boxes"].cpu(), found["labels"].cpu(), found["scores"].cpu(), masks)


def inference(way: Way, options: Options) -> Callable[[], Found]:
    """The model and, unless the `whole` is wanted, the image after the backbone; then what follows."""
    image, device = noise_image(options), torch.device(options.device)
    ours = our_model(way.classes, options)
    encoded = None if way.whole else ours.encode([to_tensor(image, device)])
    if way.model == "ours":
        ours.w_seg()  # once per model
        return lambda: ours_after(ours, encoded) if encoded else found_by(predict(ours, image))
    theirs = torchvisions_model(ours, ours.detector.rpn.head).eval()
    return lambda: torchvisions_after(theirs, encoded or torchvisions_encoded(theirs, to_tensor(image, device)))


def same(a: Found, b: Found) -> bool:
    """Whether two ways found the same, in whatever order equal scores stand: classes, boxes, scores, and masks but for
    a pixel in a thousand."""
    if len(a.labels) != len(b.labels):
        return False
    distance = (a.boxes[:, None] - b.boxes).abs().amax(-1).masked_fill(a.labels[:, None] != b.labels, torch.inf)
    nearest = distance.argmin(1)
    if len(nearest.unique()) < len(nearest) or bool((distance.amin(1) > 0.05).any()):
        return False
    if not torch.allclose(a.scores, b.scores[nearest], rtol=1e-3, atol=1e-5):
        return False
    pairs = zip(whole_masks(a), whole_masks(b)[nearest], strict=True)
    return all(bool((x != y).sum() <= 1e-3 * max((x | y).sum(), 1000)) for x, y in pairs)


def whole_masks(found: Found) -> Tensor:
    """Masks over the image, bool [N, H, W]."""
    return found.masks if isinstance(found.masks, Tensor) else bitmaps(found.masks).bool()


def all_the_same(options: Options) -> tuple[bool, int]:
    """Whether every way finds what ours of few classes finds, and how many objects that is."""
    few, many = options.classes
    ways = [Way(model, classes, whole=False) for classes in (few, many) for model in MODELS]
    first, *others = [inference(way, options)() for way in ways]
    return all(same(first, other) for other in others), len(first.labels)


def main(options: Options) -> None:
    """Measure, compare, print."""
    print_settings(**vars(options), threads=torch.get_num_threads())
    few, many = options.classes
    after_backbone = [
        Way("ours", few, whole=False),
        Way("ours", many, whole=False),
        Way("torchvision", many, whole=False),
    ]
    ways = [*after_backbone, *(replace(way, whole=True) for way in after_backbone)]
    found = {way: cost(partial(inference, way, options), options.repeats, options.device) for way in ways}
    show({str(way): each for way, each in found.items()})
    after, whole = list(found.values())[:3], list(found.values())[3:]
    equal, objects = all_the_same(options)
    print(f"detections: {objects}")
    print(json.dumps({**ratios(after, ""), **ratios(whole, "whole_"), "detections": objects, "identical": equal}))


def ratios(costs: list[Cost], prefix: str) -> dict[str, float]:
    """Our many classes against our few, and against torchvision's many."""
    few, many, theirs = costs
    return {
        f"{prefix}ratio": round(theirs.milliseconds / many.milliseconds, 2),
        f"{prefix}cpu_ratio": round(theirs.cpu_milliseconds / many.cpu_milliseconds, 2),
        f"{prefix}many_classes_time": round(many.milliseconds / few.milliseconds, 3),
        f"{prefix}many_classes_cpu_time": round(many.cpu_milliseconds / few.cpu_milliseconds, 3),
        f"{prefix}memory_against_torchvision": round(many.megabytes / max(theirs.megabytes, 1.0), 3),
    }


if __name__ == "__main__":
    main(tyro.cli(Options))
