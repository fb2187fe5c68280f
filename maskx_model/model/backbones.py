"""Image → feature pyramid: torchvision's ResNets with frozen batch norm, and a slim one that trains on a laptop.

What puts a pyramid on a ResNet is a private name of torchvision, and so is the sampler in `sampling.py` and
`roi_heads.py`; pyproject.toml therefore pins torchvision below its next minor release.
"""

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import get_model_weights, resnet50, resnet101
from torchvision.models.detection.backbone_utils import _resnet_fpn_extractor

from data_prep.storage.errors import CheckpointError, ConfigError
from data_prep.storage.storage import info, local_copy
from maskx_model.config import DetectorConfig
from maskx_model.model.folded_batch_norm import AppliedBatchNorm2d, fold_batch_norms

RESNETS = {"resnet50": resnet50, "resnet101": resnet101}


def build_backbone(config: DetectorConfig, load_weights: bool) -> nn.Module:
    """Builds the backbone with its FPN: images float32 [N, 3, H, W] → an ordered dict of levels, finest first,
    each [N, out_channels, H / stride, W / stride].

    `load_weights` is False where a checkpoint is loaded afterwards. Raises ConfigError for ImageNet weights with an
    unknown name, CheckpointError for a file that is not the weights of this backbone or cannot be downloaded.
    """
    if config.backbone == "slim":
        return SlimPyramid(config.fpn_channels)
    resnet = RESNETS[config.backbone](weights=None, norm_layer=AppliedBatchNorm2d)
    if load_weights and config.weights is not None:
        try:
            resnet.load_state_dict(_imagenet_weights(config.backbone, config.weights))
        except RuntimeError as error:
            problem = str(error)[:200]
            raise CheckpointError(f"{config.weights}: not the weights of a {config.backbone} ({problem} …)") from None
    fold_batch_norms(resnet)
    # Stem and first stage stay frozen, as the authors do.
    pyramid: nn.Module = _resnet_fpn_extractor(resnet, trainable_layers=3)
    return pyramid


def _imagenet_weights(backbone: str, weights: str) -> dict[str, Tensor]:
    if info(weights) is not None:
        return load_pth(str(local_copy(weights)))
    names = list(get_model_weights(backbone).__members__)
    if weights not in names:
        raise ConfigError(f"weights {weights!r}: neither a file nor one of torchvision's {', '.join(names)}")
    try:
        state: dict[str, Tensor] = get_model_weights(backbone)[weights].get_state_dict(
            progress=True, check_hash=True, weights_only=True
        )
    except OSError as error:
        raise CheckpointError(
            f"weights {weights} of {backbone} could not be downloaded ({error}); "
            "download them elsewhere and pass the file, or 'none' to start from random ones"
        ) from None
    return state


def load_pth(path: str) -> dict[str, Tensor]:
    """Loads a PyTorch file from outside: the only function that does. It loads named tensors and never runs code.

    Raises CheckpointError for a file that cannot be read, holds anything else, or has numbers that are not finite.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, ImportError, AttributeError) as error:
        raise CheckpointError(f"{path}: not a file of tensors that can be loaded safely ({error})") from None
    except Exception as error:  # torch raises pickle.UnpicklingError for anything but plain tensors
        raise CheckpointError(
            f"{path}: holds more than tensors, so it is not loaded ({type(error).__name__})"
        ) from None
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise CheckpointError(f"{path}: not a dictionary of named tensors; save a model's state_dict() alone")
    if not all(value.isfinite().all() for value in state.values()):
        raise CheckpointError(f"{path}: holds weights or variances that are not finite; download the file again")
    return state


class SlimPyramid(nn.Module):
    """A ResNet of 32/40/64/96 channels with a pyramid on strides 4, 8 and 16 (0.3 M parameters, own batch norm)."""

    def __init__(self, out_channels: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 32, 7, stride=2, padding=3, bias=False),
            nn.BatchNorm2d(32),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2, padding=1),
        )
        self.stages = nn.ModuleList(
            [ResidualBlock(32, 40, stride=1), ResidualBlock(40, 64, stride=2), ResidualBlock(64, 96, stride=2)]
        )
        self.merge = MergedPyramid([40, 64, 96], out_channels)
        self.out_channels = out_channels

    def forward(self, images: Tensor) -> OrderedDict[str, Tensor]:
        """[N, 3, H, W] → levels "0", "1", "2" at strides 4, 8, 16."""
        x = self.stem(images)
        stages = []
        for stage in self.stages:
            x = stage(x)
            stages.append(x)
        pyramid: OrderedDict[str, Tensor] = self.merge(stages)
        return pyramid


class MergedPyramid(nn.Module):
    """FPN's top-down path without its 3×3 convolutions and with batch norm: all stages meet at the finest stride, and
    coarser levels are averages of that. It costs less than an FPN, and from scratch it learns in fewer steps."""

    def __init__(self, in_channels: Sequence[int], out_channels: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(
            nn.Sequential(nn.Conv2d(channels, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels))
            for channels in in_channels
        )

    def forward(self, stages: Sequence[Tensor]) -> OrderedDict[str, Tensor]:
        """Maps [N, in_channels, H / s, W / s], finest first → as many levels [N, out_channels, H / s, W / s]."""
        finest, *coarser = (lateral(stage) for lateral, stage in zip(self.lateral, stages, strict=True))
        merged = sum((F.interpolate(each, finest.shape[-2:]) for each in coarser), start=finest)
        levels = [torch.relu(merged)]
        for _ in coarser:
            levels.append(F.avg_pool2d(levels[-1], 2, ceil_mode=True))
        return OrderedDict((str(number), level) for number, level in enumerate(levels))


class ResidualBlock(nn.Module):
    """Adds two 3×3 convolutions and a 1×1 shortcut."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
        )
        self.shortcut = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False), nn.BatchNorm2d(out_channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        """[N, in_channels, H, W] → [N, out_channels, H / stride, W / stride]."""
        return torch.relu(self.body(x) + self.shortcut(x))
