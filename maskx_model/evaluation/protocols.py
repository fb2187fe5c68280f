"""How a model is measured: by COCO's protocol, or by LVIS's where classes are not looked for in every image."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from data_prep.format.reader import Dataset
from data_prep.storage.errors import DataError
from maskx_model.evaluation.coco_ap import APTable, average_precision
from maskx_model.evaluation.lvis_ap import (
    DETECTIONS,
    SCORE_THRESHOLD,
    annotated_classes,
    federated_average_precision,
    frequency_bins,
)

if TYPE_CHECKING:
    from torchvision.models.detection import FasterRCNN

ProtocolName = Literal["coco", "lvis"]


@dataclass(frozen=True)
class Protocol:
    """`classes`: a source's class names → positions in the vocabulary, of the classes that are measured. `bins`: sets
    of them by how frequent they are. `federated`: detections of classes that nobody looked for in an image do not
    count there."""

    average_precision: Callable[..., APTable]
    classes: Callable[[Dataset, str], dict[str, int]]
    federated: bool

    def bins(self, data: Dataset, source: str, labels: dict[str, int]) -> dict[str, frozenset[int]]:
        """Sets of classes by frequency that have an AP of their own."""
        return frequency_bins(data.rows, source, labels) if self.federated else {}

    def ask(self, detector: "FasterRCNN") -> None:
        """Have the detector give what counts: by COCO's protocol it is used as it is configured, by LVIS's it gives 300
        detections of an image, down to a score of 0.0001."""
        if self.federated:
            detector.roi_heads.detections_per_img = DETECTIONS
            detector.roi_heads.score_thresh = SCORE_THRESHOLD


def evaluated_classes(data: Dataset, source: str) -> dict[str, int]:
    """The source's class names → positions in the vocabulary, of the classes COCO's AP is defined on: those that the
    source annotates exhaustively and the vocabulary holds. Raises DataError where there are none."""
    exhaustive = {name for each in data.manifest.sources if each.name == source for name in each.exhaustive}
    labels = {name: position for name, position in data.vocabulary.index(source).items() if name in exhaustive}
    if not labels:
        raise DataError(
            f"{data.uri}: source {source!r} annotates no class of the vocabulary exhaustively, so COCO's AP is not "
            "defined on it; evaluate on a source in COCO's format, or with `--protocol lvis`"
        )
    return labels


PROTOCOLS: dict[ProtocolName, Protocol] = {
    "coco": Protocol(average_precision, evaluated_classes, federated=False),
    "lvis": Protocol(federated_average_precision, annotated_classes, federated=True),
}
