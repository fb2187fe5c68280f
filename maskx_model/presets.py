"""Whole runs by name. A preset is a function that returns everything a run is made of.

Each says what it costs and what it should reach, and whence the figure. GPU-hours are steps × images over the images/s
that one H200 trains (ResNet-50, 3,001 classes, bfloat16: `maskx_model/model/README.md`); other GPUs differ.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from data_prep.storage.errors import ConfigError
from maskx_model.config import PLAIN, Compute, DetectorConfig, MaskConfig
from maskx_model.run_config import ONLY_SOURCE, DataConfig, EvaluationConfig, Passes, RunConfig
from maskx_model.schedules import CropSchedule, MaskSchedule, Schedule

ON_GPU = Compute(precision="auto")
ONE_THREAD = Compute(threads=1)


def toy() -> RunConfig:
    """The embedded default: the generated world, on two cores in minutes. It shows transfer, and compares with nobody's
    figures. One thread computes: a second one would save a tenth of the time of such small networks, and with one the
    figures do not depend on the number of cores."""
    stage1 = Schedule(
        steps=600,
        images_per_batch=8,
        learning_rates=(3e-3,),
        optimizer="adamw",
        weight_decay=0.01,
        warmup_steps=100,
        decay="cosine",
        clip_norm=10.0,
        checkpoint_every=200,
        compute=ONE_THREAD,
    )
    return RunConfig(
        name="toy",
        data=DataConfig(classes=68, max_rejected=0.05, toy_images=4000, toy_val_images=300),
        detector=_slim(size=128, anchors=(20, 36, 64)),
        mask=MaskConfig(
            transfer_input="cls",
            transfer_scale="standard",
            transfer_weight_decay=10.0,
            mlp="none",
            shared_bias=True,
            channels=64,
        ),
        stage1=stage1,
        stage2=MaskSchedule(
            steps=200,
            learning_rates=(3e-3,),
            optimizer="adamw",
            warmup_steps=20,
            decay="cosine",
            cache_rois=True,
            compute=ONE_THREAD,
        ),
        joint=stage1,
        stage1_source="vg",
        stage2_source="coco",
        mask_classes="toy",
        crops=CropSchedule(steps=700),
        evaluation=EvaluationConfig(compute=ONE_THREAD),
    )


def real_sample() -> RunConfig:
    """A few hundred real images on two cores: shows that the path runs, too small to learn much."""
    small = toy()
    stage1 = replace(small.stage1, images_per_batch=4, learning_rates=(2e-3,), compute=PLAIN)
    return replace(
        small,
        name="real_sample",
        data=DataConfig(classes=None, max_rejected=0.1),
        detector=_slim(size=256, anchors=(24, 56, 120)),
        mask=replace(small.mask, transfer_input="cls+box"),
        stage1=stage1,
        stage2=replace(small.stage2, compute=PLAIN),
        joint=stage1,
        stage1_source="coco",
        mask_classes="voc",
        crops=replace(small.crops, steps=300),
        evaluation=EvaluationConfig(),
    )


def coco_r50() -> RunConfig:
    """The paper's controlled study (§4): COCO boxes of 80 classes, masks of 20, ResNet-50-FPN, 8 GPUs × 2 images.

    Cost: 1.44 million images in stage 1, 7 GPU-hours at 56 images/s; 6.8 GB at 8 images a batch, less than twice that
    at these 16. As much again for stage 2 at most, which computes the same features. To reach: box AP near 37.0 on
    val2017, that of torchvision's Faster R-CNN of this shape (its model zoo, `FasterRCNN_ResNet50_FPN_Weights`;
    `--pretrained COCO_V1` starts there); mask AP on B up to 40 % above the class-agnostic baseline (the paper, §1).
    """
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
    """The paper's large-scale run (§5): boxes of 3000 Visual Genome synsets, masks of COCO's 80, ResNet-101-FPN.

    Cost: 1.44 million images in each stage, more than coco_r50's 7 GPU-hours each, as the backbone is deeper; it was
    not measured. To reach: there is no figure; the paper judges this run by eye (§5).
    """
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


def own_r50() -> RunConfig:
    """Boxes, and masks of some or all classes, of one's own COCO-format files, on one GPU of 12 GB.

    Steps come from the number of images: 12 passes, as the paper's 90,000 steps of 16 images make over COCO's 118,287,
    but 2,000 steps at least. Batches of 4, and the learning rate that the linear rule makes of the paper's 0.02. The
    dataset's only source is read, and every class that has masks is in A. The MLP branch is the light one: the paper's
    has 157 million weights. Few images: begin with `--pretrained COCO_V1`, which trains nothing where all classes are
    COCO's.

    Cost: 6.8 GB for 8 images a batch in bfloat16 and 12.2 GB in float32 (`maskx_model/model/README.md`, 3,001
    classes), so less for these 4. To reach: nothing is promised of data that nobody has seen; on COCO itself the
    shape reaches box AP 37.0 (torchvision's model zoo).
    """
    training: dict[str, Any] = {
        "steps": 9000,
        "images_per_batch": 4,
        "learning_rates": (0.005,),
        "milestones": (6000, 8000),
        "compute": ON_GPU,
    }
    return RunConfig(
        name="own_r50",
        data=DataConfig(classes=None, max_rejected=0.1),
        detector=DetectorConfig(),
        mask=MaskConfig(mlp="light"),
        stage1=Schedule(**training),
        stage2=MaskSchedule(**training),
        joint=Schedule(**training),
        stage1_source=ONLY_SOURCE,
        stage2_source=ONLY_SOURCE,
        mask_classes="coco",
        passes=Passes(stage1=12, stage2=12, joint=12),
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
        box_head="single",
        rois_per_image=48,
        positive_fraction=0.6,
        box_loss_weight=2.0,
        rpn_proposals_train=300,
        rpn_proposals_test=150,
        detections_per_image=30,
    )


PRESETS: dict[str, Callable[[], RunConfig]] = {
    "toy": toy,
    "real_sample": real_sample,
    "coco_r50": coco_r50,
    "vg3000_r101": vg3000_r101,
    "own_r50": own_r50,
}


def get_preset(name: str) -> RunConfig:
    """The preset of that name; raises ConfigError for one that does not exist."""
    if name not in PRESETS:
        raise ConfigError(f"preset {name!r} does not exist; choose one of {', '.join(PRESETS)}")
    return PRESETS[name]()
