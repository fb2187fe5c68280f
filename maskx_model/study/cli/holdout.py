"""`maskx study holdout`."""

from dataclasses import dataclass
from typing import Annotated

from tyro.conf import arg

from data_prep.arguments import Grouped, Number, Uri, optional
from maskx_model.cli.arguments import MaskClasses, MaskSource, MeasureOptions
from maskx_model.cli.run_options import ConfigurationOptions, preset_or
from maskx_model.study.cli.options import HeadOptions, Numbers
from maskx_model.study.variants import DEFAULT


@dataclass(frozen=True)
class ComparisonOptions:
    """What is compared.

    Attributes:
        variants: The variants to compare. Besides those of the default there are `mlp-paper`, and `preset`, the
            preset's own mask branch with its MLP. The class-agnostic head is always included.
        folds: Number of folds, made at random of the classes with masks, at most one for each.
        fold_classes: Text files with a class name per line, one for each fold, instead. The best folds resemble the
            classes without masks: if those stand together in images, so should a fold's.
        seeds: Seeds of the heads' weights and batches; each trains all heads again.
        teacher: A source of the dataset whose masks were made by another program, on the same images and boxes. Its
            masks are compared with those of the picked variant on held-out classes: whose to trust, fold by fold.
    """

    variants: Annotated[tuple[str, ...], arg(metavar="NAME …")] = DEFAULT
    folds: Number = 4
    fold_classes: Annotated[
        tuple[str, ...], arg(metavar="FILE …", help_behavior_hint="(default: folds made at random)")
    ] = ()
    seeds: Numbers = (0,)
    teacher: Annotated[str | None, optional("NAME", "no comparison")] = None


def holdout(
    dataset: Uri,
    detector: Uri,
    out: Uri,
    *,
    preset: Annotated[str | None, preset_or("vg3000_r101")] = None,
    source: MaskSource = None,
    mask_classes: MaskClasses = None,
    configuration: Grouped[ConfigurationOptions],
    comparison: Grouped[ComparisonOptions],
    training: Grouped[HeadOptions],
    measure: Grouped[MeasureOptions],
) -> None:
    """Hold classes out: estimate AP on the classes without masks, and choose a variant of the mask head.

    The classes with masks lose theirs, one fold after the other; each variant is trained on the other folds and
    measured on this one. Detector and features are computed once. The same command again resumes. Heads are trained on
    cached features, without flips: each object's ground-truth box and one proposal.

    Args:
        dataset: A prepared dataset (`maskx data prepare` writes one).
        detector: The folder of stage 1.
        out: Folder for holdout.json, holdout.html, and the cache: features (at most 25 kB a box at the toy preset,
            100 kB at ResNet's) and rows.
        preset: The configuration of the detector and of the mask head's training.
        source: The source whose masks to use, by its name in the dataset.
        mask_classes: The classes that have masks, as `maskx train masks` takes them.

    Example:
        maskx study holdout --dataset dataset --detector detector --out study --preset coco_r50
    """
    from maskx_model.study.holdout import HoldoutOptions, results_table
    from maskx_model.study.holdout import holdout as run
    from maskx_model.study.jobs import default_jobs

    options = HoldoutOptions(
        comparison.variants,
        comparison.folds,
        comparison.fold_classes,
        comparison.seeds,
        default_jobs() if training.jobs is None else training.jobs,
        measure.split,
        measure.max_images,
        training.rois_at_most,
        comparison.teacher,
    )
    chosen = training.applied_to(configuration.of(preset, "vg3000_r101"), source)
    print(results_table(run(dataset, detector, out, chosen, options, mask_classes)))
