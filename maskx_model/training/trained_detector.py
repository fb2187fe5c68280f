"""A detector of stage 1, for the training or the study that continues with it."""

from dataclasses import fields, replace

from data_prep.format.reader import Dataset
from data_prep.storage.errors import CheckpointError
from maskx_model.artifacts.model_folder import LoadedModel, load_model
from maskx_model.config import DetectorConfig
from maskx_model.run_config import RunConfig


def load_detector(uri: str, data: Dataset, preset: RunConfig, device: str | None) -> LoadedModel:
    """Load the detector; raises CheckpointError if it does not match the dataset's classes or the preset's shape."""
    trained = load_model(uri, device)
    if trained.config.mask is not None:
        raise CheckpointError(f"{uri}: holds a mask branch already; name the detector of stage 1")
    if trained.vocabulary.hash != data.vocabulary.hash:
        raise CheckpointError(
            f"{uri}: was trained on another vocabulary ({len(trained.vocabulary)} classes) than "
            f"{data.uri} has ({len(data.vocabulary)}); train the detector on this dataset"
        )
    own, wanted = _shape(trained.config.detector), _shape(preset.detector)
    if own != wanted:
        different = [each.name for each in fields(own) if getattr(own, each.name) != getattr(wanted, each.name)]
        values = ", ".join(f"{name} {getattr(own, name)} (here {getattr(wanted, name)})" for name in different)
        raise CheckpointError(
            f"{uri}: its model is not that of preset {preset.name}: {values}; choose the configuration it was trained "
            f"with, or set what differs (--set detector.{different[0]}={getattr(own, different[0])})"
        )
    return trained


def _shape(config: DetectorConfig) -> DetectorConfig:
    """The configuration without what leaves the model's shape alone: initial weights and classification loss."""
    return replace(config, weights=None, classification_loss="softmax", loss_classes=DetectorConfig.loss_classes)
