"""`maskx study tables`."""

from dataclasses import dataclass
from typing import Annotated

from tyro.conf import arg

from data_prep.arguments import Grouped, Uri, optional
from maskx_model.cli.arguments import (
    BackboneWeights,
    MaskClasses,
    MaskSource,
    MeasureOptions,
    with_weights,
)
from maskx_model.cli.run_options import ConfigurationOptions, preset_or
from maskx_model.study.cli.options import HeadOptions, Numbers


@dataclass(frozen=True)
class ComparisonOptions:
    """What is compared.

    Attributes:
        rows: Tables (`1a`) or single rows (`1a/randn`) to run.
        seeds: Seeds of detectors, and of the heads' weights and batches.
        embedding: Text file of word vectors, for the row of Table 1a that takes them; without it that row is not run.
        detector: The folder of stage 1, one for each seed or one for all.
        weights: ImageNet weights of the backbones that are trained, instead of the preset's: a .pth file, one of
            torchvision's names, or `none` for random ones.
    """

    rows: Annotated[tuple[str, ...], arg(metavar="ROW …", help_behavior_hint="(default: all rows)")] = ()
    seeds: Numbers = (0, 1, 2)
    embedding: Annotated[str | None, optional("FILE", "no word vectors")] = None
    detector: Annotated[
        tuple[str, ...], arg(metavar="URI …", help_behavior_hint="(default: each seed's is trained)")
    ] = ()
    weights: BackboneWeights = None


def tables(
    dataset: Uri,
    out: Uri,
    *,
    preset: Annotated[str | None, preset_or("toy")] = None,
    source: MaskSource = None,
    mask_classes: MaskClasses = None,
    configuration: Grouped[ConfigurationOptions],
    comparison: Grouped[ComparisonOptions],
    training: Grouped[HeadOptions],
    measure: Grouped[MeasureOptions],
) -> None:
    """The paper's Tables 1 and 2 in small: train every row on several seeds, and report which orderings come out.

    A seed's detector and features are computed once for all its rows. The same command again resumes.

    Args:
        dataset: A prepared dataset (`maskx data prepare` writes one) with masks of all classes. Rows that must not use
            the masks of B do not use them.
        out: Folder for tables.json, tables.csv, tables.html, and the cache: detectors, features, rows, and the models
            trained end to end.
        preset: The configuration of the detector and of the trainings.
        source: The source whose masks to use, by its name in the dataset.
        mask_classes: The classes that have masks, as `maskx train masks` takes them; of a toy world one of its
            `mask_classes/without_group_N.txt`.

    Example:
        maskx study tables --dataset dataset --out tables --rows 1a 1b --seeds 0
    """
    from maskx_model.study.jobs import default_jobs
    from maskx_model.study.tables import TablesOptions, results_table
    from maskx_model.study.tables import tables as run

    options = TablesOptions(
        comparison.rows,
        comparison.seeds,
        comparison.embedding,
        default_jobs() if training.jobs is None else training.jobs,
        measure.split,
        measure.max_images,
        training.rois_at_most,
    )
    chosen = training.applied_to(with_weights(configuration.of(preset, "toy"), comparison.weights), source)
    print(results_table(run(dataset, out, chosen, options, comparison.detector, mask_classes)))
