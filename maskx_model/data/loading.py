"""How images are loaded: what `Schedule` says of it, and the size of the network's input."""

from dataclasses import dataclass
from typing import NamedTuple

from torch import nn
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from maskx_model.schedules import Schedule


class NetworkSize(NamedTuple):
    """The shorter side of the network's input, pixels, and the limit of its longer side."""

    shorter: int
    longer: int

    def scale_of(self, width: float, height: float) -> float:
        """The factor from an image of this size to the network's input, below 1 for a smaller input."""
        return min(self.shorter / min(width, height), self.longer / max(width, height))


@dataclass(frozen=True)
class Loading:
    """Options of loading; `Schedule` describes them. With a `network_size` JPEGs are decoded at less than their size
    where the network's is smaller still."""

    group_by_shape: bool = False
    network_size: NetworkSize | None = None
    jitter: float = 0.0
    repeat_threshold: float = 0.0
    max_set_aside: float = 0.01


PLAIN = Loading()


def loading_of(schedule: Schedule, module: nn.Module) -> Loading:
    """The schedule's options, for images that the detector in `module` takes."""
    (transform,) = (part for part in module.modules() if isinstance(part, GeneralizedRCNNTransform))
    size = NetworkSize(max(transform.min_size), transform.max_size)
    return Loading(
        schedule.group_by_shape,
        size if schedule.scaled_decoding else None,
        schedule.jitter,
        schedule.repeat_threshold,
        schedule.max_set_aside,
    )
