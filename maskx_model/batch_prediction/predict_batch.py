"""The job `maskx predict-batch`: plan, predict part by part with Beam's RunInference, join."""

import logging

from data_prep.beam.part_files import unfinished
from data_prep.format.vocabulary import read_vocabulary
from data_prep.storage.storage import absolute, list_files, read, remove_folder, write
from maskx_model.artifacts.model_folder import model_hash, model_name
from maskx_model.artifacts.origin import Origin, check_same_run
from maskx_model.batch_prediction.images import DatasetImages, files_hash, split_hash
from maskx_model.batch_prediction.join import join
from maskx_model.batch_prediction.manifest import NAMED, Manifest, read_manifest, write_manifest
from maskx_model.batch_prediction.options import BatchOptions
from maskx_model.batch_prediction.plan import Plan, part_files, read_plan, work_folder, write_plan
from maskx_model.batch_prediction.work import LoadSegmenter, Predict, ReadImages, WriteRows
from maskx_model.inference.find_images import find_images
from maskx_model.inference.foreign_files import check_coco_files
from maskx_model.inference.segmenter import model_folder, require_masks

logger = logging.getLogger(__name__)

COMMAND = "predict-batch"


def predict_batch(options: BatchOptions) -> Manifest:
    """Segment all images and write to `out` `predictions-….parquet`, `results.json` and `images.json`, then
    `manifest.json`.

    Given again, a finished run is returned, and an unfinished one resumes: finished parts are kept. Raises ConfigError
    if `out` holds another run's work, or COCO files that are not maskx's, CheckpointError or TrackingError for a model
    that cannot be used, and DataError without images, or if too many cannot be read.
    """
    out = options.out.rstrip("/")
    with model_folder(options.model, options.tracking_uri) as named:
        folder = absolute(named)
        require_masks(folder)
        plan = _plan(options, out, model_hash(folder))
        finished = read_manifest(out)
        begun = finished or read_plan(out)
        if begun is not None:
            check_same_run(out, begun.made_from, plan.made_from)
        if finished is not None:
            logger.info("%s: finished already, nothing to do", out)
            return finished
        if begun is None:
            check_coco_files(out)
            write_plan(out, plan)
        vocabulary = read_vocabulary(f"{folder}/vocabulary.json")
        _predict_parts(options, out, plan, folder)
    joined = join(out, part_files(out), len(plan.sizes), vocabulary, options.max_rejected)
    manifest = Manifest(
        made_from=plan.made_from,
        model=model_name(options.model),
        images=plan.images,
        objects=joined.objects,
        rejected=len(joined.problems),
        problems=tuple(joined.problems[:NAMED]),
        shards=tuple(joined.shards),
    )
    write_manifest(out, manifest)
    remove_folder(work_folder(out))
    return manifest


def _plan(options: BatchOptions, out: str, model: str) -> Plan:
    made_from: Origin = {
        "model": model,
        "batch": options.batch,
        "precision": options.compute.precision,
        "compiled": int(options.compute.compile_backbone),
    }
    if options.dataset is not None:
        images = len(DatasetImages.open(options.dataset, options.split))
        made_from["images"] = split_hash(options.dataset, options.split)
        return Plan(made_from, images, [], options.dataset, options.split)
    found = find_images(options.inputs, out)
    if words := found.describe_passed_over():
        logger.warning("%s", words)
    made_from["images"] = files_hash(found)
    return Plan(made_from, len(found.images), [each.uri for each in found.images], None, None)


def _predict_parts(options: BatchOptions, out: str, plan: Plan, model: str) -> None:
    with unfinished(out, part_files(out), plan.sizes, COMMAND) as todo:
        if not todo.parts:
            return
        from data_prep.beam.inference import Inference, infer_parts

        load = LoadSegmenter(_shared(options, out, model), options.compute, options.engine.threads)
        inference = Inference(ReadImages(out), load, Predict(options.batch), WriteRows(out))
        with todo.followed():
            infer_parts(options.engine, out, COMMAND, todo.parts, inference)


def _shared(options: BatchOptions, out: str, model: str) -> str:
    """The model's folder where all workers can read it: a registered one is fetched to this machine only."""
    if options.engine.runner is None or not options.model.startswith("models:/"):
        return model
    there = f"{work_folder(out)}/model"
    for name in list_files(model):
        write(f"{there}/{name}", read(f"{model}/{name}"))
    return there
