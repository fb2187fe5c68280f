"""Stage 2 once for each learning rate; the one with the lowest loss on held-out images is kept."""

import logging
from collections.abc import Callable, Iterable

import msgspec
import torch
from torch import Tensor

from maskx_model.config import MaskSchedule
from maskx_model.model.mask_branch import MaskBranch
from maskx_model.model.mask_loss import mask_loss
from maskx_model.model.maskx_rcnn import MaskXRCNN
from maskx_model.training.loop import DivergedError, Place, train
from maskx_model.training.roi_sampling import RoiBatch
from maskx_model.training.step import Losses

logger = logging.getLogger(__name__)

RoiSource = Callable[[int], Iterable[RoiBatch]]


def choose_learning_rate(
    new_model: Callable[[], MaskXRCNN],
    rois: RoiSource,
    held_back: RoiBatch | None,
    schedule: MaskSchedule,
    seed: int,
    place: Place | None = None,
) -> tuple[MaskXRCNN, bytes]:
    """Train once for each learning rate; keep the model with the lowest loss on the RoIs held back. A rate at which
    training diverges is set aside, and told, where another is left; with none left MaskxError is raised."""
    results: list[tuple[float, MaskXRCNN, bytes]] = []
    for rate in schedule.learning_rates:
        model = new_model()
        embeddings = model.embeddings()
        branch = model.mask_branch

        def loss(batch: RoiBatch, branch: MaskBranch = branch, embeddings: Tensor = embeddings) -> Losses:
            return {"loss_mask": _loss(branch, batch, embeddings)}

        rate_place = place and Place(f"{place.folder}/rate-{rate:g}", {**place.made_from, "rate": rate})
        try:
            metrics = train(branch, rois, loss, schedule, rate, seed, f"stage 2, rate {rate:g}", rate_place)
        except DivergedError as error:
            if rate == schedule.learning_rates[-1] and not results:
                raise
            logger.warning("%s. Set aside.", error)
            continue
        held_back_loss = _loss_on(branch, held_back, embeddings) if held_back is not None else 0.0
        line = {"step": schedule.steps, "learning_rate_tried": rate, "loss_held_back": held_back_loss}
        results.append((held_back_loss, model, metrics + msgspec.json.encode(line) + b"\n"))
    _, best, metrics = min(results, key=lambda result: result[0])
    return best.eval(), metrics


def _loss(branch: MaskBranch, rois: RoiBatch, embeddings: Tensor) -> Tensor:
    own = rois.to(embeddings.device)  # kept RoIs are in the CPU's memory
    return mask_loss(branch(own.features.float(), own.labels, embeddings), own.targets)


@torch.no_grad()
def _loss_on(branch: MaskBranch, rois: RoiBatch, embeddings: Tensor) -> float:
    branch.eval()  # without dropout
    total = sum(
        _loss(branch, part, embeddings).item() * len(part)
        for start in range(0, len(rois), 256)
        if len(part := rois.select(torch.arange(start, min(start + 256, len(rois)))))
    )
    return total / max(len(rois), 1)
