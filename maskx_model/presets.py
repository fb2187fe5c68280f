"""Whole runs by name. A preset is a function that returns everything a run is made of."""

from collections.abc import Callable
from dataclasses import replace

from data_prep.storage.errors import ConfigError
from maskx_model.config import Compute, DetectorConfig, MaskConfig, MaskSchedule, Schedule
from maskx_model.run_config import DataConfig, RunConfig

ON_GPU = Compute(precision="auto")


def toy() -> RunConfig:
    """The embedded default: the generated world, on two cores in minutes."""
    stage1 = Schedule(
        steps=1000,
        images_per_batch=8,
        learning_rates=(0.04,),
        warmup_steps=100,
        decay="cosine",
        clip_norm=10.0,
        checkpoint_every=200,
    )
    return RunConfig(
        name="toy",
        data=DataConfig(classes=68, max_rejected=0.05, toy_images=4000, toy_val_images=300),
        detector=_slim(size=128, anchors=(20, 36, 64)),
        mask=MaskConfig(transfer_input="cls", mlp="none", shared_bias=True, channels=64),
        stage1=stage1,
        stage2=MaskSchedule(
            steps=200,
            learning_rates=(3e-3, 1e-3),
            optimizer="adamw",
            warmup_steps=20,
            decay="cosine",
            cache_rois=True,
        ),
        joint=stage1,
        stage1_source="vg",
        stage2_source="coco",
        mask_classes="toy",
    )


def real_sample() -> RunConfig:
    """A few hundred real images on two cores: shows that the path runs, too small to learn much."""
    small = toy()
    stage1 = replace(small.stage1, steps=600, images_per_batch=4, learning_rates=(0.02,))
    return replace(
        small,
        name="real_sample",
        data=DataConfig(classes=None, max_rejected=0.1),
        detector=_slim(size=256, anchors=(24, 56, 120)),
        mask=replace(small.mask, transfer_input="cls+box"),
        stage1=stage1,
        joint=stage1,
        stage1_source="coco",
        mask_classes="voc",
    )


def coco_r50() -> RunConfig:
    """The paper's controlled study (§4): COCO boxes of 80 classes, masks of 20, ResNet-50-FPN, 8 GPUs × 2 images."""
    return RunConfig(
        name="coco_r50",
        data=DataConfig(classes=None),
        detector=DetectorConfig(),
        mask=MaskConfig(),
        stage1=Schedule(steps=90_000, milestones=(60_000, 80_000), compute=ON_GPU),
        stage2=MaskSchedule(steps=90_000, milestones=(60_000, 80_000), compute=ON_GPU),
        joint=Schedule(steps=90_000, milestones=(60_000, 80_000), compute=ON_GPU),
        stage1_source="coco",
        stage2_source="coco",
        mask_classes="voc",
    )


def vg3000_r101() -> RunConfig:
    """The paper's large-scale run (§5): boxes of 3000 Visual Genome synsets, masks of COCO's 80, ResNet-101-FPN."""
    return RunConfig(
        name="vg3000_r101",
        data=DataConfig(classes=3000),
        detector=DetectorConfig(backbone="resnet101"),
        mask=MaskConfig(),
        stage1=Schedule(
            steps=180_000,
            images_per_batch=8,
            learning_rates=(0.01,),
            milestones=(120_000, 160_000),
            compute=ON_GPU,
        ),
        stage2=MaskSchedule(steps=90_000, milestones=(60_000, 80_000), compute=ON_GPU),
        joint=Schedule(steps=90_000, milestones=(60_000, 80_000), compute=ON_GPU),
        stage1_source="vg",
        stage2_source="coco",
        mask_classes="coco",
    )


def _slim(size: int, anchors: tuple[int, int, int]) -> DetectorConfig:
    return DetectorConfig(
        backbone="slim",
        weights=None,
        min_size=size,
        max_size=size * 4 // 3,
        fpn_channels=64,
        anchor_sizes=anchors,
        box_dim=128,
        box_head="pooled",
        rois_per_image=16,
        positive_fraction=0.6,
        box_loss_weight=0.3,
        rpn_proposals_train=300,
        rpn_proposals_test=150,
        detections_per_image=30,
    )


PRESETS: dict[str, Callable[[], RunConfig]] = {
    "toy": toy,
    "real_sample": real_sample,
    "coco_r50": coco_r50,
    "vg3000_r101": vg3000_r101,
}


def get_preset(name: str) -> RunConfig:
    """The preset of that name; raises ConfigError for one that does not exist."""
    if name not in PRESETS:
        raise ConfigError(f"preset {name!r} does not exist; choose one of {', '.join(PRESETS)}")
    return PRESETS[name]()
