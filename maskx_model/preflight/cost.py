"""What a run costs, before it begins: GPU-hours by the steps of its configuration and a measured speed."""

from maskx_model.run_config import RunConfig
from maskx_model.schedules import Schedule

IMAGES_PER_SECOND = 56
SOURCE = "one H200, ResNet-50, 3,001 classes, bfloat16, batches of 8: maskx_model/model/README.md"


def gpu_hours(run: RunConfig) -> list[str]:
    """Lines for people: each stage's images and the GPU-hours that they take. Other GPUs and backbones differ."""
    if run.detector.backbone == "slim":
        return ["a small backbone: minutes on a few CPUs; there is no figure for GPUs"]
    lines, hours = [], 0.0
    for title, schedule, passes, times in (
        ("stage 1", run.stage1, run.passes.stage1, 1),
        ("stage 2, transfer and class-agnostic", run.stage2, run.passes.stage2, 2),
    ):
        if passes is not None:
            lines.append(f"{title}: {passes:g} passes over the images; the hours depend on their number")
            continue
        images = times * _images(schedule)
        hours += images / IMAGES_PER_SECOND / 3600
        lines.append(f"{title}: {images:,} images, {images / IMAGES_PER_SECOND / 3600:.1f} GPU-hours")
    deeper = f"; {run.detector.backbone} is slower" if run.detector.backbone != "resnet50" else ""
    return [*lines, f"{hours:.1f} GPU-hours at {IMAGES_PER_SECOND} images/s ({SOURCE}){deeper}"]


def _images(schedule: Schedule) -> int:
    return schedule.steps * schedule.images_per_batch * len(schedule.learning_rates)
