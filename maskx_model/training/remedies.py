"""What helps a training that cannot go on: the options that its group of the configuration has."""

from typing import Literal

from maskx_model.schedules import MaskSchedule, Schedule

Group = Literal["crops", "stage1", "stage2", "joint"]


def against_divergence(group: Group) -> str:
    """What to do about a loss or weights that are not finite."""
    return f"lower the learning rate ({'--set crops.learning_rate' if group == 'crops' else '--learning-rate'})"


def against_memory(group: Group, schedule: Schedule) -> str:
    """What to do where memory does not suffice."""
    if group == "crops":
        return f"lower --set crops.crops_per_batch ({schedule.images_per_batch})"
    if isinstance(schedule, MaskSchedule) and schedule.cache_rois:
        return f"lower --set stage2.rois_per_batch ({schedule.rois_per_batch})"
    fewer = f"lower --images-per-batch ({schedule.images_per_batch})"
    if group == "stage2":  # its images have the detector's size, and its RoIs are taken at once
        return fewer
    return f"{fewer}, or take the batch in parts (--set {group}.accumulate={2 * schedule.accumulate}), or --min-size"
