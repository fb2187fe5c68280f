"""The detector that torchvision has trained on COCO, as a detector of ours."""

import logging
from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision.models import WeightsEnum
from torchvision.models.detection import FasterRCNN, FasterRCNN_ResNet50_FPN_Weights, MaskRCNN_ResNet50_FPN_Weights
from torchvision.ops import FrozenBatchNorm2d

from data_prep.format.vocabulary import Vocabulary
from data_prep.storage.errors import CheckpointError, ConfigError
from data_prep.storage.storage import info, local_copy, sha256
from maskx_model.config import DetectorConfig
from maskx_model.data.coco_classes import coco_id
from maskx_model.model.backbones import load_pth
from maskx_model.model.detector import build_detector
from maskx_model.run_config import RunConfig

logger = logging.getLogger(__name__)

CATEGORIES: list[str] = FasterRCNN_ResNet50_FPN_Weights.COCO_V1.meta["categories"]
"""torchvision's 91 outputs by label, which is COCO's category id: 0 is background, 10 are ids that COCO left unused."""

WITHOUT_EPS = tuple(
    Path(weights.url).stem.rpartition("-")[2]
    for weights in (FasterRCNN_ResNet50_FPN_Weights.COCO_V1, MaskRCNN_ResNet50_FPN_Weights.COCO_V1)
)
"""The first digits of the SHA-256 of the published files whose frozen batch norms torchvision computes with eps 0."""

SHAPE = {
    "backbone": "resnet50",
    "fpn_channels": 256,
    "anchor_sizes": (32, 64, 128, 256, 512),
    "box_head": "mlp",
    "box_dim": 1024,
}
"""What torchvision's `fasterrcnn_resnet50_fpn` is, in the words of our configuration."""


def check_shape(preset: RunConfig) -> None:
    """Raises ConfigError if the preset's detector is not of torchvision's shape."""
    different = [
        f"{name} {getattr(preset.detector, name)!r} instead of {expected!r}"
        for name, expected in SHAPE.items()
        if getattr(preset.detector, name) != expected
    ]
    if different:
        raise ConfigError(
            f"preset {preset.name}: its detector has {', '.join(different)}, so torchvision's COCO weights "
            "do not fit it; use preset coco_r50"
        )


def coco_ids(vocabulary: Vocabulary) -> tuple[int | None, ...]:
    """COCO's category id of each class in order, None for a class that is not one of COCO's 80.

    Raises ConfigError if none is.
    """
    ids = tuple(map(coco_id, vocabulary.classes))
    if not any(ids):
        raise ConfigError(
            f"none of the dataset's {len(ids)} classes has the name of one of COCO's 80, so torchvision's COCO weights "
            "know nothing of them; train without --pretrained"
        )
    return ids


def weights_file(weights: str, published: type[WeightsEnum] = FasterRCNN_ResNet50_FPN_Weights) -> Path:
    """The file behind `--pretrained`: itself, or what torchvision has `published` under that name, downloaded once to
    its cache.

    Raises ConfigError for what is neither, CheckpointError if the download fails.
    """
    if info(weights) is not None:
        return local_copy(weights)
    known = published.__members__
    if weights not in known:
        raise ConfigError(f"pretrained weights {weights!r}: neither a file nor one of torchvision's {', '.join(known)}")
    url: str = known[weights].url
    file = Path(torch.hub.get_dir(), "checkpoints", url.rpartition("/")[2])
    if not file.is_file():
        # The name ends in the first digits of the content's SHA-256.
        expected = file.stem.rpartition("-")[2]
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(file), hash_prefix=expected)
        except (OSError, RuntimeError, HTTPException) as error:
            raise CheckpointError(
                f"weights {weights} could not be downloaded ({error}); "
                f"download {url} elsewhere and pass the file to --pretrained"
            ) from None
    return file


def load_coco_detector(file: Path, config: DetectorConfig, categories: Sequence[int | None]) -> FasterRCNN:
    """A detector of classes with these COCO categories, in their order, from the state dict of torchvision's
    `fasterrcnn_resnet50_fpn` or `maskrcnn_resnet50_fpn` (whose mask branch is left out).

    With all 80 categories it finds what torchvision's published models find; with fewer, the scores of those left
    share what the others had. A class of no category keeps the weights that a new detector has for it. Raises
    CheckpointError if the file is damaged, unsafe or another model's.

    torchvision computes the frozen batch norms of the files that it has published with eps 0, and those of any other
    state dict with their usual eps; so does the detector.
    """
    state = {name: value for name, value in load_pth(str(file)).items() if not name.startswith("roi_heads.mask_")}
    detector = build_detector(config, len(categories), load_weights=False)
    try:
        for part in ("cls_score.weight", "cls_score.bias", "bbox_pred.weight", "bbox_pred.bias"):
            name = f"roi_heads.box_predictor.{part}"
            state[name] = rows_by_class(state[name], detector.state_dict()[name], categories)
        detector.load_state_dict(state)
    except (LookupError, RuntimeError) as error:
        problem = " ".join(str(error).split())[:200]
        raise CheckpointError(
            f"{file}: not the weights of torchvision's fasterrcnn_resnet50_fpn with COCO's 91 outputs ({problem} …)"
        ) from None
    if sha256(file).startswith(WITHOUT_EPS):
        _absorb_eps(detector)
    else:
        logger.info("%s: not a file that torchvision has published, so its batch norms keep their usual eps", file)
    check_finite(file, detector)
    return detector


def rows_by_class(published: Tensor, own: Tensor, categories: Sequence[int | None]) -> Tensor:
    """`own`, a tensor with equally many rows for background and each class, with the rows of the classes that COCO has
    taken from `published`, which has them for each of its 91 outputs. Raises RuntimeError if it has not."""
    labels = [0, *(i for i, category in enumerate(categories, start=1) if category is not None)]
    outputs = [0, *(category for category in categories if category is not None)]
    rows: Tensor = own.unflatten(0, (len(categories) + 1, -1)).clone()
    rows[labels] = published.unflatten(0, (len(CATEGORIES), -1))[outputs]
    return rows.flatten(0, 1)


def check_finite(file: Path, module: nn.Module) -> None:
    """Raises CheckpointError if a number that was read from the file is not finite."""
    if not all(value.isfinite().all() for value in module.state_dict().values()):
        raise CheckpointError(f"{file}: holds weights or variances that are not finite; download the file again")


def _absorb_eps(detector: FasterRCNN) -> None:
    """Let the frozen batch norms compute with their usual eps what torchvision's published COCO models compute with 0.

    The factor goes into the weight, not into the variance: that would lose the small ones to rounding.
    """
    for module in detector.modules():
        if isinstance(module, FrozenBatchNorm2d):
            variance = module.running_var.double()
            module.weight.mul_(((variance + module.eps) / variance).sqrt())
