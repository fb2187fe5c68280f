"""`maskx study estimate`."""

from typing import Annotated

from data_prep.arguments import Grouped, Number, Uri, optional
from maskx_model.cli.arguments import MaskClasses, MaskSource
from maskx_model.cli.run_options import ConfigurationOptions, preset_or
from maskx_model.study.cli.options import HeadOptions, Numbers


def estimate(
    dataset: Uri,
    detector: Uri,
    out: Uri,
    *,
    preset: Annotated[str | None, preset_or("vg3000_r101")] = None,
    source: MaskSource = None,
    mask_classes: MaskClasses = None,
    folds: Number = 4,
    seeds: Numbers = (0,),
    max_images: Annotated[int | None, optional("N", "all validation images")] = None,
    configuration: Grouped[ConfigurationOptions],
    training: Grouped[HeadOptions],
) -> None:
    """Estimate AP on the classes without masks, of the preset's own mask head, by holding classes out.

    `maskx model register --estimate` takes the result, for gates where no validation image has masks of B. The same
    command again resumes. `maskx study holdout` compares variants in the same way.

    Args:
        dataset: A prepared dataset (`maskx data prepare` writes one).
        detector: The folder of stage 1.
        out: Folder for estimate.json, holdout.html, and the cache.
        preset: The configuration of the detector and of the mask head.
        source: The source whose masks to use, by its name in the dataset.
        mask_classes: The classes that have masks, as `maskx train masks` takes them.
        folds: Number of folds, made at random of the classes with masks, at most one for each.
        seeds: Seeds of the heads' weights and batches; each trains all heads again.
        max_images: Maximum number of validation images, for a first look.

    Example:
        maskx study estimate --dataset dataset --detector detector --out estimate --preset coco_r50
    """
    from maskx_model.study.estimate_of_b import estimate_of_b

    chosen = training.applied_to(configuration.of(preset, "vg3000_r101"), source)
    found = estimate_of_b(
        dataset, detector, out, chosen, mask_classes, folds, seeds, max_images, training.rois_at_most, training.jobs
    )
    print(f"estimate of mask AP on B: {found}")
    print(f"on {len(found.folds)} folds held out: {found.held_out:.1f}, {found.margin:+.1f} over class-agnostic")
