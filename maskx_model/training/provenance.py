"""The inputs of a training: the same inputs give the same model, so that a finished one is not trained again."""

import hashlib
import logging

import msgspec

from data_prep.format.manifest import dataset_hash
from data_prep.format.reader import Dataset
from maskx_model.artifacts.code_versions import code_versions
from maskx_model.artifacts.model_folder import is_finished, read_model_manifest
from maskx_model.artifacts.origin import Origin, patched
from maskx_model.config import check_seed

logger = logging.getLogger(__name__)


def training_origin(data: Dataset, config: object, schedule: object, source: str, seed: int) -> Origin:
    """The inputs that every training has; raises ConfigError for a seed below 0."""
    check_seed(seed)
    return {
        "dataset": dataset_hash(data.uri),
        "vocabulary": data.vocabulary.hash,
        "source": source,
        "settings": settings_hash(config, schedule),
        "seed": seed,
        **code_versions(),
    }


def settings_hash(*settings: object) -> str:
    """SHA-256 of the settings as JSON, with every field, so that a default that changes is another setting."""
    return hashlib.sha256(msgspec.json.encode(msgspec.to_builtins(settings))).hexdigest()


def finished(out: str, made_from: Origin) -> bool:
    """Whether the folder holds the model of these inputs; raises CheckpointError if it holds another one.

    One that another patch of the code made serves too, and the log says so.
    """
    if not is_finished(out, made_from):
        return False
    logger.info("%s: finished already, nothing to do", out)
    if others := patched(read_model_manifest(out).made_from, made_from):
        logger.info("%s: made by %s: of the same minor release, so it need not be trained anew", out, "; ".join(others))
    return True
