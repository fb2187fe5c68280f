"""How a model is evaluated: by COCO's protocol, or by LVIS's where the annotation is federated.

Federated annotation covers different classes in different images: a class is annotated there, or known to be absent, or
nobody looked for it. By LVIS's protocol a detection counts only where its class is annotated or known to be absent.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from data_prep.format.index import IndexRow
from data_prep.format.reader import Dataset
from data_prep.storage.errors import DataError
from maskx_model.config import ProtocolName
from maskx_model.evaluation.coco_ap import LVIS_DETECTIONS

if TYPE_CHECKING:
    from torchvision.models.detection import FasterRCNN


SCORE_THRESHOLD = 1e-4
"""The least score that LVIS's protocol wants of a detector: among so many classes the right one may score low."""
RARE, COMMON = 10, 100
"""LVIS's bins: a class is rare in at most 10 training images, common in at most 100, and frequent above."""


@dataclass(frozen=True)
class Protocol:
    """`federated`: a detection counts only in images where its class is annotated or known to be absent."""

    federated: bool

    def classes(self, data: Dataset, source: str) -> dict[str, int]:
        """The source's class names → positions in the vocabulary, of the evaluated classes. Raises DataError if there
        are none."""
        return annotated_classes(data, source) if self.federated else exhaustive_classes(data, source)

    def bins(self, data: Dataset, source: str, labels: Mapping[str, int]) -> dict[str, frozenset[int]]:
        """Sets of classes by frequency that have an AP of their own; none by COCO's protocol."""
        return frequency_bins(data.rows, source, labels) if self.federated else {}

    def configure(self, detector: "FasterRCNN") -> None:
        """Set how many detections the detector returns: by LVIS's protocol 300 of an image, down to a score of 0.0001;
        by COCO's as many as its configuration says."""
        if self.federated:
            detector.roi_heads.detections_per_img = LVIS_DETECTIONS
            detector.roi_heads.score_thresh = SCORE_THRESHOLD


PROTOCOLS: dict[ProtocolName, Protocol] = {"coco": Protocol(federated=False), "lvis": Protocol(federated=True)}


def exhaustive_classes(data: Dataset, source: str) -> dict[str, int]:
    """The source's class names → positions in the vocabulary, of the classes that the source annotates exhaustively and
    the vocabulary holds: COCO's AP is defined on these. Raises DataError if there are none, or no such source."""
    data.check_source(source)
    exhaustive = {name for each in data.manifest.sources if each.name == source for name in each.exhaustive}
    labels = {name: position for name, position in data.vocabulary.index(source).items() if name in exhaustive}
    if not labels:
        raise DataError(
            f"{data.uri}: source {source!r} annotates no class of the vocabulary exhaustively, so COCO's AP is not "
            "defined on it; evaluate on a source in COCO's format, or with `--protocol lvis`"
        )
    return labels


def annotated_classes(data: Dataset, source: str) -> dict[str, int]:
    """The source's class names → positions in the vocabulary, of all classes that it annotates and the vocabulary
    holds. Raises DataError if there are none, or no such source."""
    data.check_source(source)
    labels = data.vocabulary.index(source)
    if not labels:
        raise DataError(f"{data.uri}: source {source!r} annotates no class of the vocabulary; choose another source")
    return labels


def frequency_bins(rows: Sequence[IndexRow], source: str, labels: Mapping[str, int]) -> dict[str, frozenset[int]]:
    """`rare`, `common` and `frequent` (LVIS's APr, APc, APf): the classes that `source` annotates in at most 10, at
    most 100, and more images of the split `train`. Empty if the dataset has no such image."""
    training = [row.classes.get(source, []) for row in rows if row.split == "train" and source in row.ids]
    if not training:
        return {}
    counts = Counter(label for names in training for label in {labels[name] for name in names if name in labels})
    classes = set(labels.values())
    rare = frozenset(c for c in classes if counts[c] <= RARE)
    common = frozenset(c for c in classes if RARE < counts[c] <= COMMON)
    return {"rare": rare, "common": common, "frequent": frozenset(classes - rare - common)}
