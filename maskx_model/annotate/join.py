"""The parts' masks into the annotation file: what stood there stays byte for byte; masks, scores and marks are new."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from typing import IO

import numpy as np
import numpy.typing as npt

from data_prep.sources.bytes_as_written import AsWritten
from data_prep.sources.json_files import ByteRange, map_file, read_items
from data_prep.sources.provenance import Provenance
from data_prep.storage.storage import create
from maskx_model.annotate.annotation_fields import MADE_BY, with_mask
from maskx_model.annotate.calibration import Calibration
from maskx_model.annotate.work import MadeMask


@dataclass(frozen=True)
class Mark:
    """What is written beside each mask: the model, and how its certainty becomes a score (None: it is the score)."""

    model: str
    sha256: str
    calibration: Calibration | None

    def scores(self, certainties: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Certainties [N] → scores [N] in 0..1."""
        scores = certainties if self.calibration is None else self.calibration.score(certainties)
        return scores.round(4)


class MadeMasks:
    """The masks of one file by the number of their annotation: certainties in memory, masks in the file `scratch`."""

    def __init__(self, annotations: int, masks: Iterable[MadeMask], scratch: IO[bytes]) -> None:
        self.certainties = np.full(annotations, np.nan)
        self._ends = np.zeros((annotations, 2), np.int64)
        position = 0
        for mask in masks:
            length = scratch.write(mask.segmentation)
            self.certainties[mask.number] = mask.certainty
            self._ends[mask.number] = position, position + length
            position += length
        scratch.flush()
        self._map = mmap(scratch.fileno(), 0, access=ACCESS_READ) if position else b""

    def segmentation(self, number: int) -> bytes | None:
        """The mask of an annotation as JSON; None if none was made."""
        start, end = self._ends[number].tolist()
        return self._map[start:end] if end > start else None


def write_annotated(
    source: str, byte_ranges: Sequence[ByteRange], out: str, made: MadeMasks, mark: Mark
) -> npt.NDArray[np.float64]:
    """Write the file `source` again, unpacked and in UTF-8, its annotations (in `byte_ranges`) with the masks made;
    returns each one's score, NaN where no mask was made."""
    buffer, written = map_file(source), AsWritten(source)
    scores = mark.scores(made.certainties)
    with create(out) as file:
        position = number = 0
        for byte_range in byte_ranges:
            for offset, item in read_items(buffer, byte_range):
                if (segmentation := made.segmentation(number)) is not None:
                    file.writelines(written.pieces(position, offset))
                    position = offset + memoryview(item).nbytes
                    provenance = Provenance(MADE_BY, mark.model, mark.sha256, float(scores[number]))
                    file.write(with_mask(bytes(item), segmentation, provenance, written.within(offset)))
                number += 1
        file.writelines(written.pieces(position, len(buffer)))
    return scores
