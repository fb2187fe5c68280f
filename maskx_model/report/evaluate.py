"""The job `maskx evaluate`: AP of boxes and masks on A (classes with masks in training), on B (without) and on all
(§4, §5.2), written to a folder with a report."""

import logging
from collections.abc import Sequence

from data_prep.format.manifest import dataset_hash
from data_prep.format.reader import Dataset
from data_prep.storage.errors import ConfigError
from maskx_model.artifacts.code_versions import code_releases
from maskx_model.artifacts.model_folder import model_hash
from maskx_model.artifacts.origin import Origin
from maskx_model.config import PLAIN, Compute, ProtocolName
from maskx_model.data.for_dataset import source_in
from maskx_model.evaluation.metrics import Evaluation
from maskx_model.evaluation.options import EvaluationOptions, MasksFrom
from maskx_model.report.finished import read_finished, tell_replaced

logger = logging.getLogger(__name__)


def evaluate(
    model: str,
    dataset: str,
    out: str,
    baseline: str | None = None,
    split: str = "val",
    source: str = "coco",
    max_images: int | None = None,
    stages: Sequence[str] = (),
    device: str | None = None,
    protocol: ProtocolName = "coco",
    masks: MasksFrom = "model",
    compute: Compute = PLAIN,
) -> Evaluation:
    """Measure a model, and a baseline beside it, on the classes of `source` (`only`: the dataset's only one); write a
    report.

    `protocol`: `coco` measures the classes that the source annotates exhaustively; `lvis` all that it annotates, each
    only in the images where it is annotated or known to be absent (`average_precision`). Where no measured object has a
    mask that a person drew, mask AP is None, and a detector will do: then only boxes are measured. It also does with
    `masks` `grabcut`, Table 2's baseline: GrabCut segments the model's boxes, and nothing else of it is used.

    Writes `<out>/metrics.json`, `per_class.csv`, `predictions-<kind>.json` (COCO's results format; by LVIS's protocol
    only what counts) with `categories.json`, `report.html` (one page that contains its images) and `pictures/`, all or
    nothing. Under torchrun all ranks call this and share the images. If `out` holds the same evaluation already, it is
    returned. `max_images`: only the first images of the split. `stages`: further model folders whose training curves
    the report shows. `device`: by default a GPU where there is one. `compute`: precision and compilation.

    Raises ConfigError if `out` holds anything but an older evaluation, and for a baseline with `grabcut`; DataError for
    a split or source that cannot be evaluated and for detections that are not numbers; CheckpointError for a model that
    is damaged, has no mask branch where masks are measured, or has other classes than the dataset.
    """
    data = Dataset.open(dataset)
    options = EvaluationOptions(split, source_in(data, source), max_images, protocol, masks, compute)
    uris = [*([baseline] if baseline else []), model]
    made_from = _origin(data, uris, [*uris, *stages], options)
    if (finished := read_finished(out, made_from)) is not None:
        logger.info("%s: finished already, nothing to do", out)
        return finished
    from maskx_model.evaluation.run_models import evaluate_models
    from maskx_model.report.folder import check_replaceable, write_evaluation
    from maskx_model.training.distributed import check_agreement, current_world, joined_world

    check_replaceable(out)
    tell_replaced(out, made_from)
    if masks == "grabcut" and baseline is not None:
        raise ConfigError("--masks grabcut: segments one model's boxes; evaluate the baseline in a run of its own")
    with joined_world(device) as own:
        check_agreement(out, made_from)
        run = evaluate_models(data, uris, options, own, made_from)
        if current_world().is_first:
            write_evaluation(out, run, [*stages, *uris])
        current_world().wait_for_all()
    return run.result


def _origin(data: Dataset, models: Sequence[str], curves: Sequence[str], options: EvaluationOptions) -> Origin:
    """The provenance of an evaluation: hashes of its inputs, the options that its numbers depend on, and the releases
    of the code."""
    if options.max_images is not None and options.max_images < 1:
        raise ConfigError(f"max_images: at least one image is needed, got {options.max_images}")
    return {
        "dataset": dataset_hash(data.uri),
        "models": ",".join(model_hash(uri) for uri in models),
        "curves": ",".join(model_hash(uri) for uri in curves),
        "split": options.split,
        "source": options.source,
        "max_images": options.max_images,
        "protocol": options.protocol,
        "masks": options.masks,
        "precision": options.compute.precision,
        **code_releases(),
    }
