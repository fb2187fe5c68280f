"""A small generated dataset, and the toy preset on it: what benchmarks of the training loop train."""

from dataclasses import replace
from pathlib import Path

from maskx_model.config import DetectorConfig
from maskx_model.presets import get_preset
from maskx_model.run_config import RunConfig
from maskx_model.schedules import NO_CROPS


def small_dataset(folder: Path, images: int) -> str:
    """The URI of a dataset of that many generated images; made once."""
    from data_prep.prepare.options import PrepareOptions
    from data_prep.prepare.prepare import prepare
    from data_prep.toy_world import write_toy_world

    original, dataset = folder / "original", folder / "dataset"
    if not (dataset / "manifest.json").exists():
        write_toy_world(original, images=images, val_images=8)
        sources = (f"coco=coco:{original}/coco", f"vg=vg:{original}/visual_genome")
        prepare(PrepareOptions(sources=sources, out=str(dataset), max_rejected=0.5))
    return str(dataset)


def short_run(steps: int, checkpoint_every: int, images_per_batch: int) -> RunConfig:
    """The toy preset with that much of stage 1 and without crops, and a line of metrics each step."""
    toy = get_preset("toy")
    stage1 = replace(
        toy.stage1.of_steps(steps), checkpoint_every=checkpoint_every, images_per_batch=images_per_batch, log_every=1
    )
    return replace(toy, crops=NO_CROPS, stage1=stage1)


def short_resnet_run(steps: int, images_per_batch: int, min_size: int) -> RunConfig:
    """`short_run` with the detector of the paper's study, a ResNet-50-FPN with frozen batch norm, on small images and
    from random weights. It learns nothing, at a learning rate that keeps it finite."""
    run = short_run(steps, 10**6, images_per_batch)
    detector = DetectorConfig(weights=None, min_size=min_size, max_size=min_size * 2)
    return replace(run, detector=detector, stage1=replace(run.stage1, learning_rates=(1e-6,)))
