"""How images are loaded: what `Schedule` says of it, and the size at which the network sees them."""

from dataclasses import dataclass
from typing import NamedTuple

from torch import nn
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from maskx_model.schedules import Schedule


class NetworkSize(NamedTuple):
    """Pixels of an image's shorter side as the network sees it, and of its longer one at most."""

    shorter: int
    longer: int

    def scale_of(self, width: float, height: float) -> float:
        """How much smaller (below 1) or larger than it is an image of this size is seen."""
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
    """The schedule's options, for images that the detector in `module` sees."""
    (transform,) = (part for part in module.modules() if isinstance(part, GeneralizedRCNNTransform))
    size = NetworkSize(max(transform.min_size), transform.max_size)
    return Loading(
        schedule.group_by_shape,
        size if schedule.scaled_decoding else None,
        schedule.jitter,
        schedule.repeat_threshold,
        schedule.max_set_aside,
    )
