"""The trainings (§3.2): stage by stage the detector on all boxes, then the mask branch on the masks of A; or end to end
both at once."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from data_prep.format.reader import Dataset
from data_prep.storage.errors import ConfigError
from data_prep.storage.storage import check_writable, info, sha256
from maskx_model.artifacts.model_folder import LoadedModel, model_hash
from maskx_model.artifacts.origin import Origin
from maskx_model.config import MaskKind, ModelConfig
from maskx_model.configure.batch import tell_other_batch
from maskx_model.data.for_dataset import for_dataset
from maskx_model.data.mask_classes import resolve_mask_classes
from maskx_model.run_config import RunConfig
from maskx_model.training.metric_sink import NOBODY, Observers
from maskx_model.training.provenance import finished, settings_hash, training_origin
from maskx_model.training.trained_detector import load_detector

if TYPE_CHECKING:
    from torchvision.models.detection import FasterRCNN

    from maskx_model.model.mask_branch import MaskBranch


@dataclass(frozen=True)
class PretrainedDetector:
    """A detector of the dataset's classes to begin with, and the SHA-256 of the file that it comes from."""

    load: "Callable[[], FasterRCNN]"
    sha256: str


@dataclass(frozen=True)
class PretrainedFeatures:
    """What fills a new mask branch's layers before the class weights, and the SHA-256 of the file it comes from."""

    load: "Callable[[MaskBranch], None]"
    sha256: str


def train_detector(
    dataset: str,
    out: str,
    preset: RunConfig,
    *,
    seed: int | None = None,
    device: str | None = None,
    start: PretrainedDetector | None = None,
    observers: Observers = NOBODY,
    rehearsal: bool = False,
) -> None:
    """Stage 1: a Faster R-CNN on the boxes of every class in the dataset's vocabulary.

    `start`: the weights to begin with; None for ImageNet's. `seed`: None for the preset's. `observers`: who follows the
    training. `rehearsal`: make three steps, tell what they cost, and write nothing. Under torchrun all ranks call this.
    Writes a model folder to `out`; resumes from its checkpoint if there is one; does nothing if it is finished. Raises
    DataError, CheckpointError, ConfigError, and what the training loop raises.
    """
    data = Dataset.open(dataset)
    preset = for_dataset(preset, data, "stage1")
    seed = preset.seed if seed is None else seed
    made_from = training_origin(data, preset.detector, preset.stage1, preset.stage1_source, seed)
    if start is not None:
        made_from["weights"] = start.sha256
    else:
        made_from |= beginning_of(preset)
    if finished(out, made_from):
        return
    check_writable(out)
    tell_other_batch(preset, "stage1")
    from maskx_model.model.compute import threads_of
    from maskx_model.training.session import rank_session
    from maskx_model.training.stage1 import fit_detector

    with threads_of(preset.stage1.compute), rank_session(out, made_from, preset, device, observers, rehearsal) as now:
        model, metrics = fit_detector(data, preset, seed, now.device, now.session, start.load if start else None)
        now.save(LoadedModel(model, ModelConfig(preset.detector), data.vocabulary, ()), metrics)


def train_masks(
    dataset: str,
    detector: str,
    out: str,
    preset: RunConfig,
    *,
    kind: MaskKind | None = None,
    mask_classes: str | None = None,
    embedding: str | None = None,
    features: PretrainedFeatures | None = None,
    seed: int | None = None,
    device: str | None = None,
    observers: Observers = NOBODY,
    rehearsal: bool = False,
    cache_features: str | None = None,
) -> None:
    """Stage 2: a mask branch on the frozen detector, from the masks of A (`mask_classes`, the preset's by default).

    `embedding`: the file of word vectors for T's input `embedding`; the model keeps those of its classes. `features`:
    what the layers before the class weights begin with; None for random numbers. `kind`, `seed`: None for the preset's.
    `observers`, `rehearsal`: as `train_detector` has them. `cache_features`: a folder on disk where what the frozen
    detector computes of an image is cached; the trained model is the same without. Writes a model folder with detector
    and mask branch. Raises CheckpointError if the detector does not match the dataset or the preset, DataError,
    ConfigError, and what the training loop raises.
    """
    data = Dataset.open(dataset)
    preset = for_dataset(preset, data, "stage2")
    seed = preset.seed if seed is None else seed
    config = ModelConfig(preset.detector, replace(preset.mask, kind=kind or preset.mask.kind))
    _check_embedding(preset, embedding)
    classes = resolve_mask_classes(mask_classes or preset.mask_classes, data.vocabulary, preset.stage2_source)
    made_from = training_origin(data, config, preset.stage2, preset.stage2_source, seed)
    made_from |= {"detector": model_hash(detector), "mask_classes": ",".join(map(str, classes))}
    made_from |= _hash_of_vectors(embedding) | ({"weights": features.sha256} if features else {})
    if finished(out, made_from):
        return
    check_writable(out)
    tell_other_batch(preset, "stage2")
    from maskx_model.data.word_vectors import class_vectors
    from maskx_model.model.compute import threads_of
    from maskx_model.training.feature_folder import FeatureFolder
    from maskx_model.training.session import rank_session
    from maskx_model.training.stage2 import fit_masks

    vectors = class_vectors(embedding, data.vocabulary) if embedding is not None else None
    cache = FeatureFolder(cache_features, str(made_from["detector"])) if cache_features is not None else None
    with threads_of(preset.stage2.compute), rank_session(out, made_from, preset, device, observers, rehearsal) as now:
        trained = load_detector(detector, data, preset, now.device)
        config = replace(config, detector=trained.config.detector)
        load = features.load if features else None
        model, metrics = fit_masks(data, trained, config, classes, preset, seed, now.session, vectors, load, cache)
        now.save(LoadedModel(model, config, data.vocabulary, classes), metrics)


def train_joint(
    dataset: str,
    out: str,
    preset: RunConfig,
    *,
    kind: MaskKind | None = None,
    mask_classes: str | None = None,
    embedding: str | None = None,
    detector: str | None = None,
    seed: int | None = None,
    device: str | None = None,
    observers: Observers = NOBODY,
    rehearsal: bool = False,
) -> None:
    """End to end: detector and mask branch at once, from one source's boxes of every class and masks of A
    (`mask_classes`, the preset's by default; §3.2, Table 1d).

    `detector`: a folder of stage 1 to continue; by default training begins with ImageNet weights, as the paper's
    does. `embedding`, and what is written: as with `train_masks`; `observers`, `rehearsal`: as with `train_detector`.
    Raises DataError, ConfigError, or CheckpointError if the detector does not match the dataset or the preset.
    """
    data = Dataset.open(dataset)
    preset = for_dataset(preset, data, "joint")
    seed = preset.seed if seed is None else seed
    config = ModelConfig(preset.detector, replace(preset.mask, kind=kind or preset.mask.kind))
    _check_embedding(preset, embedding)
    classes = resolve_mask_classes(mask_classes or preset.mask_classes, data.vocabulary, preset.stage2_source)
    made_from = training_origin(data, config, preset.joint, preset.stage2_source, seed)
    made_from |= {"detector": detector and model_hash(detector), "mask_classes": ",".join(map(str, classes))}
    if detector is None:
        made_from |= beginning_of(preset)
    made_from |= _hash_of_vectors(embedding) | made_masks_of(preset)
    if finished(out, made_from):
        return
    check_writable(out)
    tell_other_batch(preset, "joint")
    from maskx_model.data.word_vectors import class_vectors
    from maskx_model.model.compute import threads_of
    from maskx_model.training.joint import fit_joint
    from maskx_model.training.session import rank_session

    vectors = class_vectors(embedding, data.vocabulary) if embedding is not None else None
    with threads_of(preset.joint.compute), rank_session(out, made_from, preset, device, observers, rehearsal) as now:
        start = load_detector(detector, data, preset, now.device) if detector else None
        model, metrics = fit_joint(data, start, config, classes, preset, seed, now.device, now.session, vectors)
        now.save(LoadedModel(model, config, data.vocabulary, classes), metrics)


def _check_embedding(preset: RunConfig, embedding: str | None) -> None:
    if (embedding is None) != (preset.mask.embedding_dim is None):
        raise ConfigError("transfer_input embedding: needs the file of word vectors, and no other input takes one")


def _hash_of_vectors(embedding: str | None) -> Origin:
    return {"embedding": sha256(embedding)} if embedding is not None else {}


def beginning_of(preset: RunConfig) -> Origin:
    """What a new detector begins with: the hash of the backbone's file, if it is one (the file at a path may be
    replaced), and the crops' settings, if it learns them."""
    weights = preset.detector.weights
    file: Origin = {"backbone": sha256(weights)} if weights is not None and info(weights) is not None else {}
    return file | ({"crops": settings_hash(preset.crops)} if preset.crops.steps else {})


def made_masks_of(preset: RunConfig) -> Origin:
    """What a training end to end takes from the configuration of stage 2, where it is not what it is by itself."""
    weight, score = preset.stage2.made_mask_weight, preset.stage2.min_mask_score
    return {} if (weight, score) == (1.0, 0.0) else {"made_mask_weight": weight, "min_mask_score": score}
