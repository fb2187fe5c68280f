"""A model's calibration, kept beside its files, so that later runs use it without being told."""

import logging

import msgspec

from data_prep.storage.errors import JSON_ERRORS, ConfigError, DataError, StorageError
from data_prep.storage.own_files import write_own
from data_prep.storage.storage import exists, read
from maskx_model.annotate.calibration import Calibration
from maskx_model.artifacts.model_folder import CALIBRATION

logger = logging.getLogger(__name__)


class KeptCalibration(msgspec.Struct, frozen=True):
    """`calibration.json` in a model folder: the SHA-256 of the model's manifest and of that of the dataset on whose
    masks it was fitted, and the line itself."""

    model: str
    dataset: str
    calibration: Calibration


def keep_calibration(folder: str, kept: KeptCalibration) -> None:
    """Write a model's calibration into its folder, in place of an earlier one; a folder that takes none is told."""
    uri = f"{folder}/{CALIBRATION}"
    try:
        write_own(uri, kept)
    except (OSError, StorageError, ConfigError) as error:
        logger.warning("%s: cannot be written (%s); give --calibrate in later runs, too", uri, error)


def read_kept_calibration(folder: str, model: str) -> KeptCalibration | None:
    """The calibration in the folder of the model whose manifest has the SHA-256 `model`; None where there is none, or
    where it is that of a model that stood there before, which is logged. Raises DataError for a damaged one."""
    uri = f"{folder}/{CALIBRATION}"
    if not exists(uri):
        return None
    try:
        kept = msgspec.json.decode(read(uri), type=KeptCalibration)
    except JSON_ERRORS as error:
        raise DataError(f"{uri}: not a calibration ({error}); delete it, and calibrate again") from None
    if kept.model != model:
        logger.warning("%s: is of another model, and is not used; calibrate again", uri)
        return None
    return kept
