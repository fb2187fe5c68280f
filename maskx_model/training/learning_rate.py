"""Stage 2 once for each learning rate; the model with the lowest loss on held-out images is chosen."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import msgspec
import torch
from torch import Tensor

from maskx_model.model.mask_branch import MaskBranch
from maskx_model.model.mask_loss import mask_loss
from maskx_model.model.maskx_rcnn import MaskXRCNN
from maskx_model.schedules import MaskSchedule
from maskx_model.training.loop import DivergedError, train
from maskx_model.training.roi_sampling import RoiBatch
from maskx_model.training.session import BY_ITSELF, Session
from maskx_model.training.task import Measured, Task

logger = logging.getLogger(__name__)

RoiSource = Callable[[int], Iterable[RoiBatch]]
"""The batches from a step on."""
ROIS_AT_ONCE = 256


@dataclass(frozen=True)
class _Trained:
    model: MaskXRCNN
    held_out_loss: float
    metrics: bytes


def choose_learning_rate(
    new_model: Callable[[], MaskXRCNN],
    rois: RoiSource,
    held_out: RoiBatch | None,
    schedule: MaskSchedule,
    seed: int,
    session: Session = BY_ITSELF,
) -> tuple[MaskXRCNN, bytes]:
    """Train once for each learning rate; returns the model with the lowest loss on the RoIs held out, and its metric
    lines.

    A learning rate at which training diverges is set aside, with a warning, as long as another one is left; without any
    DivergedError is raised.
    """
    results: list[_Trained] = []
    for learning_rate in schedule.learning_rates:
        model = new_model()
        try:
            results.append(_train(model, rois, held_out, schedule, learning_rate, seed, session))
        except DivergedError as error:
            if learning_rate == schedule.learning_rates[-1] and not results:
                raise
            logger.warning("%s. Set aside.", error)
    best = min(results, key=lambda result: result.held_out_loss)
    return best.model.eval(), best.metrics


def _train(
    model: MaskXRCNN,
    rois: RoiSource,
    held_out: RoiBatch | None,
    schedule: MaskSchedule,
    learning_rate: float,
    seed: int,
    session: Session,
) -> _Trained:
    branch, embeddings = model.mask_branch, model.embeddings()

    def loss(batch: RoiBatch) -> Measured:
        return Measured({"loss_mask": _loss(branch, batch, embeddings)}, {"loss_mask": len(batch)})

    task = Task(f"stage 2, learning rate {learning_rate:g}", branch, rois, loss, "stage2", shapes=shapes)
    name = f"rate-{learning_rate:g}"
    own = session.below(name, {"rate": learning_rate})
    if session.observers.sink is not None and len(schedule.learning_rates) > 1:
        session.observers.sink.begin(name)
    metrics = train(task, schedule, learning_rate, seed, own)
    held_out_loss = _mean_loss(branch, held_out, embeddings) if held_out is not None else 0.0
    line = {"step": schedule.steps, "learning_rate_tried": learning_rate, "loss_held_back": held_out_loss}
    return _Trained(model, held_out_loss, metrics + msgspec.json.encode(line) + b"\n")


def shapes(batch: RoiBatch) -> str:
    """The number of the batch's RoIs and the shape of their features."""
    return f"{len(batch)} RoIs with features of {'×'.join(map(str, batch.features.shape[1:]))}"


def _loss(branch: MaskBranch, rois: RoiBatch, embeddings: Tensor) -> Tensor:
    own = rois.to(embeddings.device)  # cached RoIs are in the CPU's memory
    return mask_loss(branch(own.features.float(), own.labels, embeddings), own.targets, own.weights)


@torch.no_grad()
def _mean_loss(branch: MaskBranch, rois: RoiBatch, embeddings: Tensor) -> float:
    branch.eval()  # without dropout
    total = sum(
        _loss(branch, part, embeddings).item() * len(part)
        for start in range(0, len(rois), ROIS_AT_ONCE)
        if len(part := rois.select(torch.arange(start, min(start + ROIS_AT_ONCE, len(rois)))))
    )
    return total / max(len(rois), 1)
