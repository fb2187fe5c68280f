"""Leave-classes-out: the AP of a mask head on classes without masks, estimated on classes that have them.

B has no masks to measure by. So A's classes lose theirs, a fold at a time: a head trained on the others is measured on
the fold, with the protocol of B. A variant that memorizes A has a low loss and a high AP on A, and is exposed here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean

from data_prep.format.reader import Dataset
from data_prep.storage.errors import ConfigError, DataError
from data_prep.storage.own_files import write_own
from data_prep.storage.storage import write
from maskx_model.data.for_dataset import for_dataset
from maskx_model.data.mask_classes import resolve_mask_classes
from maskx_model.evaluation.protocols import exhaustive_classes
from maskx_model.run_config import RunConfig
from maskx_model.study.estimate import Holdout, best, results
from maskx_model.study.folds import Fold, listed_folds, random_folds
from maskx_model.study.frozen_detector import FrozenDetector
from maskx_model.study.heads import box_ap50
from maskx_model.study.jobs import Job, check_runs, run_jobs
from maskx_model.study.rows import ClassAP, Row
from maskx_model.study.teacher import TeacherFold, compare_folds, teacher_ap
from maskx_model.study.variants import DEFAULT, Variant, variants_of


@dataclass(frozen=True)
class HoldoutOptions:
    """What to hold out and compare. `fold_classes`: folds by files of class names, instead of at most `folds` random
    ones of the classes that the measured images show with masks; `teacher`: a source of the dataset whose masks are
    compared with T's."""

    variants: Sequence[str] = DEFAULT
    folds: int = 4
    fold_classes: Sequence[str] = ()
    seeds: Sequence[int] = (0,)
    jobs: int = 1
    split: str = "val"
    max_images: int | None = None
    rois_at_most: int = 40_000
    teacher: str | None = None


def holdout(
    dataset: str,
    detector: str,
    out: str,
    preset: RunConfig,
    options: HoldoutOptions,
    mask_classes: str | None = None,
    device: str | None = None,
) -> Holdout:
    """Compare variants of the mask head on folds of A held out; writes `<out>/holdout.json` and `holdout.html`.

    `<out>/features` and `<out>/rows` hold what was computed: a run that was cut off resumes, and one with other
    variants, folds or seeds computes what is new. `mask_classes`: A, the preset's by default. Raises ConfigError for
    options that contradict each other, DataError and CheckpointError for a dataset or a detector that does not match.
    """
    data = Dataset.open(dataset)
    preset = for_dataset(preset, data, "stage2")
    if preset.mask.transfer_input == "embedding":
        raise ConfigError(
            "mask.transfer_input embedding: a head that takes word vectors cannot be measured by leaving classes out; "
            "set another input, and mask.embedding_dim to null"
        )
    a = resolve_mask_classes(mask_classes or preset.mask_classes, data.vocabulary, preset.stage2_source)
    listed = _listed_folds(options, a, data, preset)
    variants = variants_of(preset, options.variants)
    measured = tuple(sorted({label for fold in listed for label in fold})) or a
    frozen = FrozenDetector(
        dataset=dataset,
        detector=detector,
        features=f"{out}/features",
        preset=preset,
        masks_of=a,
        measured=measured,
        split=options.split,
        max_images=options.max_images,
        rois_at_most=options.rois_at_most,
        device=device,
    )
    folds = listed or random_folds(sorted(frozen.classes_with_masks.intersection(a)), options.folds)
    _check_images(frozen, folds)
    if options.teacher:
        data.check_source(options.teacher)
    rows = _rows(frozen, variants, folds, options, f"{out}/rows")
    result = _result(frozen, rows, folds, options)
    from maskx_model.study.page import holdout_page

    write(f"{out}/holdout.html", holdout_page(result).encode())
    write_own(f"{out}/holdout.json", result)
    return result


def _listed_folds(options: HoldoutOptions, a: Sequence[int], data: Dataset, preset: RunConfig) -> tuple[Fold, ...]:
    """The folds that files name; none where they are to be random. Checks the options."""
    check_runs(options.seeds, options.jobs)
    known = exhaustive_classes(data, preset.stage2_source).values()
    if unmeasurable := sorted(set(a) - set(known)):
        raise DataError(
            f"{data.uri}: AP is not defined on {data.vocabulary.names[unmeasurable[0]]!r}, which is not annotated "
            "exhaustively; leave it out of the mask classes"
        )
    return listed_folds(options.fold_classes, a, data.vocabulary, preset.stage2_source)


def _check_images(frozen: FrozenDetector, folds: Sequence[Fold]) -> None:
    for fold in folds:
        if not set(fold) & frozen.classes_with_masks:
            names = ", ".join(frozen.data.vocabulary.names[label] for label in fold)
            raise DataError(
                f"{frozen.dataset}: split {frozen.split!r} has no object with a mask of the fold of {names}; choose "
                "other folds, or more images"
            )


def _rows(
    frozen: FrozenDetector, variants: Sequence[Variant], folds: Sequence[Fold], options: HoldoutOptions, folder: str
) -> dict[str, list[Row]]:
    """Each variant's rows, over seeds and folds."""
    jobs = [
        Job(variant, tuple(sorted(set(frozen.masks_of) - set(fold))), fold, seed)
        for seed in options.seeds
        for fold in folds
        for variant in variants
    ]
    rows = run_jobs(frozen, jobs, folder, options.jobs, "holdout")
    return {
        variant.name: [row for job, row in zip(jobs, rows, strict=True) if job.variant == variant]
        for variant in variants
    }


def _result(
    frozen: FrozenDetector, rows: dict[str, list[Row]], folds: Sequence[Fold], options: HoldoutOptions
) -> Holdout:
    vocabulary = frozen.data.vocabulary
    b = sorted(set(frozen.exhaustive.values()) - set(frozen.masks_of))
    boxes = box_ap50(frozen)
    variants = results(rows, boxes, b)
    means = {"held out": _mean(boxes, frozen.measured), "B": _mean(boxes, b)}
    names = tuple(tuple(vocabulary.names[label] for label in fold) for fold in folds)
    picked = best(variants).name
    teacher = _compared_with_teacher(frozen, rows[picked], folds, options.teacher) if options.teacher else ()
    return Holdout(variants, picked, means, names, tuple(options.seeds), frozen.made_from, teacher)


def _compared_with_teacher(
    frozen: FrozenDetector, rows: Sequence[Row], folds: Sequence[Fold], teacher: str
) -> tuple[TeacherFold, ...]:
    records = [frozen.data.read_record(row) for row in frozen.rows]
    labels = frozen.data.vocabulary.index(teacher)
    ap = teacher_ap(records, frozen.ground_truth, teacher, labels, frozen.measured)
    return compare_folds(folds, rows, ap, frozen.data.vocabulary.names)


def _mean(ap: ClassAP, classes: Sequence[int]) -> float | None:
    known = [ap[label] for label in classes if label in ap]
    return mean(known) if known else None


def results_table(result: Holdout) -> str:
    """The variants as text, a line each, the best estimate first, and what `flagged` means."""
    lines = [f"{'variant':22}{'held out':>18}{'ground-truth boxes':>20}{'estimate on B':>18}"]
    for each in sorted(result.variants, key=lambda each: -each.predicted.on_b):
        error = "" if each.predicted.error is None else f" ± {each.predicted.error:.1f}"
        mark = "  picked" if each.name == result.picked else "  flagged" if each.flagged else ""
        lines.append(
            f"{each.name:22}{each.predicted!s:>18}{each.given!s:>20}{f'{each.predicted.on_b:.1f}{error}':>18}{mark}"
        )
    lines.append("flagged: not clearly above the class-agnostic head on classes without masks")
    if result.teacher:
        lines += ["", f"{'masks on ground-truth boxes':48}{result.picked:>12}{'teacher':>10}  to trust"]
        for fold in result.teacher:
            shown = f"{', '.join(fold.classes[:3])}{', …' if len(fold.classes) > 3 else ''}"
            lines.append(f"{shown[:47]:48}{fold.transfer:>12.1f}{fold.teacher:>10.1f}  {fold.trusted}")
    return "\n".join(lines)
