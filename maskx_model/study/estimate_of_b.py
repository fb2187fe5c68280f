"""The leave-classes-out estimate for one mask head, the configuration's own: what the registry's gates ask where B has
no masks."""

import logging

from data_prep.format.reader import Dataset
from data_prep.storage.storage import exists
from maskx_model.artifacts.model_folder import model_hash
from maskx_model.artifacts.origin import Origin
from maskx_model.data.for_dataset import for_dataset
from maskx_model.data.mask_classes import resolve_mask_classes
from maskx_model.evaluation.estimate_file import FILE, EstimateOfB, head_hash, read_estimate, write_estimate
from maskx_model.run_config import RunConfig
from maskx_model.study.folds import NothingToHoldOutError
from maskx_model.training.provenance import training_origin

logger = logging.getLogger(__name__)

FOLDS = 4


def estimate_of_b(
    dataset: str,
    detector: str,
    out: str,
    preset: RunConfig,
    mask_classes: str | None = None,
    folds: int = FOLDS,
    seeds: tuple[int, ...] = (0,),
    max_images: int | None = None,
    rois_at_most: int = 40_000,
    jobs: int | None = None,
    device: str | None = None,
    cores: int | None = None,
) -> EstimateOfB:
    """Estimate mask AP on B of the preset's mask head on a trained detector; writes `<out>/estimate.json`.

    Beside it stand `holdout.json`, `holdout.html` and the cache of the study (`holdout`), so that an estimate that was
    cut off resumes. A finished one of the same inputs is read, without torch. `mask_classes`: A, the preset's by
    default; `rois_at_most`: RoIs to train heads on; `jobs`: processes, by default one for each of
    `cores` (by default all), or one with a GPU.

    Raises NothingToHoldOutError where all classes have masks or fewer than two can be measured, ConfigError for a head
    that cannot be measured on held-out classes, DataError and CheckpointError for a dataset or a detector that does not
    match.
    """
    made_from = _origin(dataset, detector, preset, mask_classes)
    made_from |= {"folds": folds, "seeds": ",".join(map(str, seeds)), "max_images": max_images, "rois": rois_at_most}
    if (finished := _finished(out, made_from)) is not None:
        logger.info("%s: finished already, nothing to do", out)
        return finished
    from maskx_model.study.holdout import HoldoutOptions, holdout
    from maskx_model.study.jobs import default_jobs
    from maskx_model.study.variants import OWN

    options = HoldoutOptions(
        (OWN,), folds, seeds=seeds, jobs=jobs or default_jobs(cores), max_images=max_images, rois_at_most=rois_at_most
    )
    result = holdout(dataset, detector, out, preset, options, mask_classes, device)
    own = result.variants[-1]  # the class-agnostic head alone, where the preset's is that
    estimate = EstimateOfB(
        on_b=own.predicted.on_b,
        error=own.predicted.error,
        held_out=own.predicted.mean,
        margin=own.margin,
        margin_error=own.margin_error,
        folds=result.folds,
        seeds=result.seeds,
        made_from=made_from,
    )
    write_estimate(out, estimate)
    return estimate


def estimate_where_possible(dataset: str, detector: str, out: str, preset: RunConfig, cores: int) -> EstimateOfB | None:
    """`estimate_of_b`, or None, told in the log, where the dataset's classes allow no estimate: a pipeline goes on."""
    try:
        return estimate_of_b(dataset, detector, out, preset, cores=cores)
    except NothingToHoldOutError as error:
        logger.warning("there is no estimate of mask AP on B: %s", error)
        return None


def _origin(dataset: str, detector: str, preset: RunConfig, mask_classes: str | None) -> Origin:
    data = Dataset.open(dataset)
    preset = for_dataset(preset, data, "stage2")
    source = preset.stage2_source
    a = resolve_mask_classes(mask_classes or preset.mask_classes, data.vocabulary, source)
    if len(a) == len(data.vocabulary):
        raise NothingToHoldOutError(f"{dataset}: all classes have masks in training, so B is empty")
    return {
        **training_origin(data, (preset.detector, preset.mask), preset.stage2, source, preset.seed),
        "detector": model_hash(detector),
        "head": head_hash(preset.mask),
        "mask_classes": ",".join(map(str, a)),
    }


def _finished(out: str, made_from: Origin) -> EstimateOfB | None:
    """The estimate in the folder, if it is of these inputs; the commit is no input."""
    if not exists(f"{out}/{FILE}"):
        return None
    found = read_estimate(out)
    same = {**found.made_from, "commit": None} == {**made_from, "commit": None}
    return found if same else None
