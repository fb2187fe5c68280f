"""The options that an error of a training names are those that this training has."""

from dataclasses import replace

from maskx_model.presets import get_preset
from maskx_model.training.remedies import against_divergence, against_memory

COCO, TOY = get_preset("coco_r50"), get_preset("toy")


def test_what_needs_less_memory_depends_on_what_a_batch_is_made_of() -> None:
    assert against_memory("stage1", COCO.stage1) == (
        "lower --images-per-batch (16), or take the batch in parts (--set stage1.accumulate=2), or --min-size"
    )
    assert "--set joint.accumulate=8" in against_memory("joint", replace(COCO.joint, accumulate=4))
    assert against_memory("stage2", COCO.stage2) == "lower --images-per-batch (16)"
    assert against_memory("stage2", TOY.stage2) == "lower --set stage2.rois_per_batch (48)"
    assert against_memory("crops", TOY.crops.schedule()) == "lower --set crops.crops_per_batch (64)"


def test_a_lower_learning_rate_is_set_where_it_is_read() -> None:
    assert against_divergence("stage2") == "lower the learning rate (--learning-rate)"
    assert against_divergence("crops") == "lower the learning rate (--set crops.learning_rate)"
