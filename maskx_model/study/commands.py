"""`maskx study`: thin functions over the library."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import arg

from maskx_model.cli.commands import with_rate, with_weights
from maskx_model.study.variants import DEFAULT

if TYPE_CHECKING:
    from maskx_model.presets import Preset

Uri = Annotated[str, arg(metavar="URI")]
Names = Annotated[tuple[str, ...], arg(metavar="NAME …")]
Files = Annotated[tuple[str, ...], arg(metavar="FILE …")]
Rows = Annotated[tuple[str, ...], arg(metavar="ROW …")]
Uris = Annotated[tuple[str, ...], arg(metavar="URI …")]
Numbers = Annotated[tuple[int, ...], arg(metavar="NUMBER …")]


def holdout(
    dataset: Uri,
    detector: Uri,
    out: Uri,
    *,
    preset: str = "vg3000_r101",
    source: str | None = None,
    mask_classes: str | None = None,
    variants: Names = DEFAULT,
    folds: int = 4,
    fold_classes: Files = (),
    seeds: Numbers = (0,),
    jobs: int | None = None,
    split: str = "val",
    max_images: int | None = None,
    rois_at_most: int = 40_000,
    steps: int | None = None,
    learning_rate: float | None = None,
) -> None:
    """Leave classes out: estimate AP on the classes without masks, and choose a variant of the mask head.

    The classes with masks lose theirs, a fold at a time; each variant is trained on the others and measured on the
    fold. Detector and features are computed once. The same command goes on where it was cut off. Heads are trained on
    kept features, without flips: of each object its ground-truth box and one proposal.

    Args:
        dataset: A prepared dataset (`maskx data prepare` writes one).
        detector: The folder of stage 1.
        out: Folder for holdout.json, holdout.html, and what is kept: features (at most 25 kB a box at the toy preset,
            100 kB at ResNet's) and rows.
        preset: The configuration of the detector and of the mask head's training.
        source: Whose masks to use, by the name it was prepared under. By default what the preset says.
        mask_classes: The classes that have masks, as for `maskx train masks`. By default what the preset says.
        variants: Those to compare, of the default's and `mlp-paper`; the class-agnostic head always takes part.
        folds: How many folds to make of the classes with masks, at random.
        fold_classes: The folds by text files with a class name per line, instead. Best are folds that resemble the
            classes without masks: if those stand together in images, so should a fold's.
        seeds: Seeds of the heads' weights and batches; each trains all anew.
        jobs: Heads at once, one thread each. By default as many as there are cores, or one on a GPU.
        split: The images to measure on.
        max_images: Measure on this many images only. With few of them AP is both too high and a matter of luck.
        rois_at_most: Train on this many boxes at most, of images in a random order.
        steps: Steps of each head's training, if not the preset's: its 90,000 for ResNets are for one model, here each
            variant, fold and seed has as many. Its milestones move with them.
        learning_rate: The highest, after the warm-up; by default the preset's first.
    """
    from maskx_model.presets import get_preset
    from maskx_model.study.holdout import HoldoutOptions, print_table
    from maskx_model.study.holdout import holdout as run
    from maskx_model.study.jobs import default_jobs

    chosen = _chosen(get_preset(preset), source, steps, learning_rate)
    processes = default_jobs() if jobs is None else jobs
    options = HoldoutOptions(variants, folds, fold_classes, seeds, processes, split, max_images, rois_at_most)
    print_table(run(dataset, detector, out, chosen, options, mask_classes))


def tables(
    dataset: Uri,
    out: Uri,
    *,
    detector: Uris = (),
    preset: str = "toy",
    source: str | None = None,
    mask_classes: str | None = None,
    rows: Rows = (),
    seeds: Numbers = (0, 1, 2),
    embedding: str | None = None,
    jobs: int | None = None,
    split: str = "val",
    max_images: int | None = None,
    rois_at_most: int = 40_000,
    steps: int | None = None,
    learning_rate: float | None = None,
    weights: str | None = None,
) -> None:
    """The paper's Tables 1 and 2 in small: train every row on several seeds, and see which orderings come out.

    A seed's detector and features are computed once for all its rows. The same command goes on where it was cut off.

    Args:
        dataset: A prepared dataset (`maskx data prepare` writes one) with masks of all classes: the rows that may not
            see those of B do not.
        out: Folder for tables.json, tables.csv, tables.html, and what is kept: detectors, features, rows, and the
            models trained end to end.
        detector: The folder of stage 1, one for each seed or one for all. Without it each seed's is trained.
        preset: The configuration of the detector and of the trainings.
        source: Whose masks to use, by the name it was prepared under. By default what the preset says.
        mask_classes: The classes that have masks, as for `maskx train masks`; of a toy world one of its
            `mask_classes/without_group_N.txt`. By default what the preset says.
        rows: Tables (`1a`) or single rows (`1a/randn`) to run. By default all of them.
        seeds: Seeds of detectors, heads' weights and batches.
        embedding: A text file of word vectors, for the row of Table 1a that takes them; without it that row is not run.
        jobs: Heads at once, one thread each. By default as many as there are cores, or one on a GPU.
        split: The images to measure on.
        max_images: Measure on this many images only. With few of them AP is both too high and a matter of luck.
        rois_at_most: Train on this many boxes at most, of images in a random order.
        steps: Steps of each head's training, if not the preset's; its milestones move with them. Detectors and models
            that are trained end to end keep theirs.
        learning_rate: The highest of the heads' training, after the warm-up; by default the preset's first.
        weights: ImageNet weights of the backbones that are trained instead of the preset's: a .pth file, one of
            torchvision's names, or `none`.
    """
    from maskx_model.presets import get_preset
    from maskx_model.study.jobs import default_jobs
    from maskx_model.study.tables import TablesOptions, print_tables
    from maskx_model.study.tables import tables as run

    chosen = _chosen(with_weights(get_preset(preset), weights), source, steps, learning_rate)
    processes = default_jobs() if jobs is None else jobs
    options = TablesOptions(rows, seeds, embedding, processes, split, max_images, rois_at_most)
    print_tables(run(dataset, out, chosen, options, detector, mask_classes))


def _chosen(preset: "Preset", source: str | None, steps: int | None, learning_rate: float | None) -> "Preset":
    schedule = with_rate(preset.stage2, learning_rate)
    if steps is not None:
        schedule = schedule.of_steps(steps)
    return replace(preset, stage2_source=source or preset.stage2_source, stage2=schedule)


COMMANDS: dict[str, Callable[..., Any] | dict[str, Callable[..., Any]]] = {
    "study": {"holdout": holdout, "tables": tables}
}
