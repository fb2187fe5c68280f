"""Presets that train in a second, and a script to train them in a process of its own. Imports no torch."""

import sys
from dataclasses import replace

from maskx_model.config import DetectorConfig, MaskConfig
from maskx_model.run_config import DataConfig, RunConfig
from maskx_model.schedules import CropSchedule, MaskSchedule, Schedule
from maskx_model.training.stages import train_detector, train_joint, train_masks

DETECTOR = DetectorConfig(
    backbone="slim",
    weights=None,
    min_size=64,
    max_size=86,
    fpn_channels=8,
    anchor_sizes=(16, 28, 44),
    box_dim=16,
    box_head="single",
    rois_per_image=16,
    positive_fraction=0.5,
    rpn_proposals_train=40,
    rpn_proposals_test=600,
)
MASK = MaskConfig(transfer_hidden=16, convolutions=1, channels=4, mlp="none", shared_bias=True)


def tiny(steps: int = 4, checkpoint_every: int = 1) -> RunConfig:
    """Stage 1 on Visual Genome's boxes, stage 2 on COCO's masks, RoIs sampled as they come."""
    stage1 = Schedule(
        steps=steps,
        images_per_batch=2,
        learning_rates=(0.02,),
        warmup_steps=2,
        decay="cosine",
        clip_norm=10.0,
        checkpoint_every=checkpoint_every,
        log_every=1,
    )
    return RunConfig(
        name="tiny",
        data=DataConfig(classes=None),
        detector=DETECTOR,
        mask=MASK,
        stage1=stage1,
        stage2=MaskSchedule(
            steps=steps,
            images_per_batch=2,
            learning_rates=(0.01,),
            warmup_steps=2,
            checkpoint_every=checkpoint_every,
            log_every=1,
        ),
        joint=stage1,
        stage1_source="vg",
        stage2_source="coco",
        mask_classes="random:30:0",
        crops=CropSchedule(steps=3, crops_per_batch=8, size=32),
    )


def tiny_cached(steps: int = 4, checkpoint_every: int = 1) -> RunConfig:
    """As `tiny`, but stage 2 trains from memory, chooses between two learning rates, and T has its own weight decay."""
    preset = tiny(steps, checkpoint_every)
    stage2 = replace(
        preset.stage2, cache_rois=True, rois_per_batch=8, learning_rates=(3e-3, 1e-3), optimizer="adamw", decay="cosine"
    )
    return replace(preset, mask=replace(preset.mask, transfer_weight_decay=10.0), stage2=stage2)


if __name__ == "__main__":
    stage, dataset, detector, out, steps = sys.argv[1:]
    if stage == "detector":
        train_detector(dataset, out, tiny(int(steps)))
    elif stage == "joint":
        train_joint(dataset, out, tiny(int(steps)))
    else:
        train_masks(dataset, detector, out, (tiny if stage == "masks" else tiny_cached)(int(steps)))
