"""The job `maskx annotate`: boxes in, masks out. Plan, segment part by part, join, show."""

import logging
import posixpath
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from tempfile import TemporaryFile

import msgspec

from data_prep.beam.engine import Engine
from data_prep.format.exif_rule import ExifRule
from data_prep.format.manifest import dataset_hash
from data_prep.sources.layout import cached_sha256
from data_prep.storage.errors import ConfigError
from data_prep.storage.own_files import read_own
from data_prep.storage.storage import absolute, check_writable, exists, remove_folder, write
from maskx_model.annotate.boxes import Replace
from maskx_model.annotate.calibrate import calibrate
from maskx_model.annotate.calibration import Calibration
from maskx_model.annotate.dataset_boxes import read_dataset, written_name
from maskx_model.annotate.join import MadeMasks, Mark, write_annotated
from maskx_model.annotate.kept_calibration import KeptCalibration, keep_calibration, read_kept_calibration
from maskx_model.annotate.outcomes import OUTCOMES
from maskx_model.annotate.page import Shown, write_page
from maskx_model.annotate.planning import Input, make_plan, read_source
from maskx_model.annotate.run import segment_parts
from maskx_model.annotate.segment import SegmentPart
from maskx_model.annotate.summary import PAGE, SUMMARY, Summary, read_summary, write_summary
from maskx_model.annotate.work import (
    MadeMask,
    Plan,
    read_images,
    read_objects,
    read_part,
    read_plan,
    work_folder,
    write_plan,
)
from maskx_model.artifacts.model_folder import model_hash, model_name
from maskx_model.artifacts.origin import Origin, check_same_run
from maskx_model.config import PLAIN, Compute
from maskx_model.inference.segmenter import Segmenter, model_folder

logger = logging.getLogger(__name__)

HERE = Engine()
"""This process."""


@dataclass(frozen=True)
class AnnotateOptions:
    """What is annotated, and how.

    Either `source`, as `maskx data prepare` takes it, or `dataset` with `split` and `source_name`. `replace`: which
    masks that stand there are made anew. `exif`: which images of `source` are read upright; a dataset's records say
    that. `tolerance`: of polygons in pixels; None for run lengths. `calibrate`: a prepared dataset with masks by which
    certainty becomes a score; None for the calibration that the model folder has, or for certainty as it is. Raises
    ConfigError for options that do not go together.
    """

    model: str
    out: str
    source: str | None = None
    dataset: str | None = None
    split: str = "train"
    source_name: str | None = None
    replace: Replace = "none"
    exif: ExifRule = "auto"
    tolerance: float | None = None
    calibrate: str | None = None
    engine: Engine = HERE
    compute: Compute = PLAIN
    tracking_uri: str | None = None

    def __post_init__(self) -> None:
        if (self.source is None) == (self.dataset is None):
            raise ConfigError("name what to annotate: either --source NAME=coco:BOXES.json,IMAGES or --dataset URI")
        if (self.dataset is None) != (self.source_name is None):
            raise ConfigError("--dataset and --source-name NAME go together: the source whose boxes are meant")
        if self.dataset is not None and self.exif != "auto":
            raise ConfigError("--exif: is for --source; a dataset's records say which of its images are upright")
        if self.tolerance is not None and not 0 <= self.tolerance < float("inf"):
            raise ConfigError(f"--tolerance {self.tolerance}: is a number of pixels, 0 or more")
        if self.engine.runner and self.model.startswith("models:/"):
            raise ConfigError(f"{self.model}: with --runner, name the model's folder, which its workers can read")
        self.engine.check_paths(self.out, () if self.source is None else (self.source,))


def annotate(options: AnnotateOptions) -> Summary:
    """Give each box of a known class its mask and write the completed files to `out`, with `summary.json`, last, and
    `page.html`.

    Given again, a finished run is returned, and an unfinished one resumes: finished parts are kept. Raises
    ConfigError if `out` holds another run's work, or files that would be replaced, such as its input, CheckpointError
    or TrackingError for a model that cannot be used, DataError for files that cannot be read.
    """
    out = options.out.rstrip("/")
    with model_folder(options.model, options.tracking_uri) as named:
        folder = absolute(named)
        kept = read_kept_calibration(folder, model_hash(folder))
        sources = [] if options.source is None else _source_inputs(options.source, options.exif, out)
        made_from = _origin(options, folder, kept, sources)
        if (finished := read_summary(out)) is not None:
            check_same_run(out, finished.made_from, made_from)
            logger.info("%s: finished already, nothing to do", out)
            return finished
        planned = read_plan(out)
        if planned is not None:
            check_same_run(out, planned.made_from, made_from)
        else:
            _check_free(options, out, sources)
        segmenter = Segmenter.load(folder, options.compute)
        inputs = sources or [_dataset_input(options, out, begun=planned is not None)]
        if planned is None:
            planned, images, objects = make_plan(inputs, segmenter.vocabulary, options.replace, made_from)
            write_plan(out, planned, images, objects)
        calibration = _calibration(options, segmenter, folder, kept, made_from)
        work = SegmentPart(out, folder, str(made_from["model"]), options.compute, options.tolerance)
        segment_parts(out, planned, work, options.engine)
    mark = Mark(model_name(options.model), str(made_from["model"]), calibration)
    return _finish(out, planned, inputs, mark, segmenter)


def _check_free(options: AnnotateOptions, out: str, sources: Sequence[Input]) -> None:
    """Raise ConfigError if a file that no run wrote would be replaced, or `out` cannot be written."""
    names = [source.name for source in sources] or [written_name(options.split, str(options.source_name))]
    if taken := {SUMMARY, PAGE}.intersection(names):
        raise ConfigError(f"{taken.pop()}: --out has a file of the same name about the run; rename the one to annotate")
    check_writable(out)
    for name in (*names, PAGE):
        if exists(f"{out}/{name}"):
            raise ConfigError(
                f"--out {out}: {out}/{name} is no earlier run's and would be replaced; choose another folder"
            )


def _origin(options: AnnotateOptions, model: str, kept: KeptCalibration | None, sources: Sequence[Input]) -> Origin:
    """What the output is made from: hashes of its inputs, and all options that change it; `kept` is the calibration
    that the model folder has, `sources` are the files of `--source`."""
    if options.source is not None:
        given = ",".join(cached_sha256(source.uri) for source in sources)
    else:
        given = f"{dataset_hash(str(options.dataset))} {options.split} {options.source_name}"
    return {
        "model": model_hash(model),
        "given": given,
        "images": ",".join(source.images_hash for source in sources),
        "replace": options.replace,
        "exif": options.exif,
        "tolerance": options.tolerance,
        "calibrate": _calibrated_on(options, kept),
        "precision": options.compute.precision,
    }


def _calibrated_on(options: AnnotateOptions, kept: KeptCalibration | None) -> str | None:
    if options.calibrate is not None:
        return dataset_hash(options.calibrate)
    return None if kept is None else kept.dataset


def _dataset_input(options: AnnotateOptions, out: str, begun: bool) -> Input:
    return read_dataset(str(options.dataset), options.split, str(options.source_name), out, begun)


def _source_inputs(source: str, exif: ExifRule, out: str) -> list[Input]:
    inputs = read_source(source, exif)
    for given in inputs:
        there = posixpath.join(posixpath.dirname(f"{out}/{given.name}"), posixpath.basename(given.uri))
        if absolute(there) == absolute(given.uri):
            raise ConfigError(f"--out {out}: {there} is the file to annotate; choose another folder")
    return inputs


def _calibration(
    options: AnnotateOptions, segmenter: Segmenter, folder: str, kept: KeptCalibration | None, made_from: Origin
) -> Calibration | None:
    """The calibration of this run, fitted once: what the run began with, else what the model folder has, else a new
    one, which a model folder of one's own then keeps."""
    uri = f"{work_folder(options.out.rstrip('/'))}/calibration.json"
    if exists(uri):
        return read_own(uri, Calibration)
    if kept is None or kept.dataset != made_from["calibrate"]:
        if options.calibrate is None:
            return None
        fitted = calibrate(segmenter, options.calibrate)
        kept = KeptCalibration(str(made_from["model"]), str(made_from["calibrate"]), fitted)
        if not options.model.startswith("models:/"):  # a registered model is a copy, and stays as it was registered
            keep_calibration(folder, kept)
    write(uri, msgspec.json.encode(kept.calibration))
    return kept.calibration


def _finish(out: str, plan: Plan, inputs: Sequence[Input], mark: Mark, segmenter: Segmenter) -> Summary:
    """Join the parts into the files, draw the page, write the summary, and remove the work folder."""
    shown = Shown(read_images(out), read_objects(out), segmenter)
    for number, (given, file) in enumerate(zip(inputs, plan.files, strict=True)):
        with TemporaryFile() as scratch:
            made = MadeMasks(file.annotations, _masks_of(out, plan, number), scratch)
            scores = write_annotated(given.uri, given.listing.byte_ranges, f"{out}/{file.name}", made, mark)
            shown.add(number, scores, made)
    outcomes, problems, left_as_stored = Counter(plan.outcomes), [], 0
    for part in range(len(plan.parts)):
        result = read_part(out, part)
        outcomes += Counter(result.outcomes)
        problems += result.problems
        left_as_stored += result.exif_orientation
    summary = Summary(
        made_from=plan.made_from,
        model=mark.model,
        files={file.name: file.annotations for file in plan.files},
        outcomes={name: outcomes[name] for name in OUTCOMES if outcomes[name]},
        unknown_classes=plan.unknown_classes,
        problems=problems,
        mean_score=shown.mean_score,
        calibration=mark.calibration,
        exif_orientation=left_as_stored,
    )
    write_page(f"{out}/{PAGE}", summary, shown)
    write_summary(out, summary)
    remove_folder(work_folder(out))
    return summary


def _masks_of(out: str, plan: Plan, file: int) -> Iterator[MadeMask]:
    for part in range(len(plan.parts)):
        yield from (mask for mask in read_part(out, part).masks if mask.file == file)
