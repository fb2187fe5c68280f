"""From a decoded image to its objects with masks over the whole of it."""

from collections.abc import Callable
from itertools import cycle

import torch
from torch import Tensor, nn

from benchmarks import inference
from benchmarks.throughput.options import SHAPES, Options
from benchmarks.torchvisions import torchvisions_model
from benchmarks.way import Way
from maskx_model.data.samples import to_tensor
from maskx_model.masks.pasting import MASK_THRESHOLD
from maskx_model.model.compute import compile_backbone, in_precision_of
from maskx_model.results.predict import predict


@torch.no_grad()
def inference_step(way: Way, options: Options) -> tuple[nn.Module, Callable[[], object]]:
    """The model, and what finds the objects of the next image: ours as run lengths, torchvision's as bitmaps."""
    height, width = SHAPES[0]
    plan = inference.Options(height, width, options.min_size, detections=options.detections, device=options.device)
    ours = inference.our_model(way.classes, plan)
    following = cycle([inference.noise_image(inference.Options(height, width)) for height, width in SHAPES])
    if way.model == "ours":
        compile_backbone(ours.detector, way.compute)

        def find() -> object:
            with in_precision_of(way.compute, options.device):
                return predict(ours, next(following))

        return ours, find
    theirs = torchvisions_model(ours, ours.detector.rpn.head).eval()

    @torch.no_grad()
    def find_theirs() -> Tensor:
        image = to_tensor(next(following), torch.device(options.device))
        with in_precision_of(way.compute, options.device):
            found = theirs([image])[0]
        masks: Tensor = found["masks"][:, 0] > MASK_THRESHOLD
        return masks.cpu()

    return theirs, find_theirs
