"""Repeat-factor sampling: images of rare classes come more often (Gupta et al. 2019, LVIS, appendix B.1)."""

import numpy as np
import numpy.typing as npt

from data_prep.format.rows import Rows


def repeat_factors(rows: Rows, source: str, names: frozenset[str], threshold: float) -> npt.NDArray[np.float64]:
    """How often each image comes in an epoch, float [N] from 1 up: max(1, sqrt(threshold / fraction)) of its rarest
    class among `names`, where the fraction is that of the rows that show the class."""
    images = dict.fromkeys(names, 0)
    for part in rows.shown(source):
        for name, count in zip(part.names, np.bincount(part.classes, minlength=len(part.names)).tolist(), strict=True):
            if name in images:
                images[name] += count
    factors = np.ones(len(rows))
    for part in rows.shown(source):
        of_class = np.array([_factor(images.get(name, 0) / len(rows), threshold) for name in part.names])
        if len(part.rows):
            np.maximum.at(factors, part.rows, of_class[part.classes])
    return factors


def _factor(share: float, threshold: float) -> float:
    return max(1.0, (threshold / share) ** 0.5) if share else 1.0
