"""The mask head's RoI pooling, from the levels that the box head uses."""

from torchvision.models.detection import FasterRCNN

from maskx_model.model.cpu.roi_align import RowRoIAlign
from maskx_model.model.mask_branch import ROI_SIZE


def mask_roi_pool(detector: FasterRCNN) -> RowRoIAlign:
    """RoIAlign to 14 × 14 on the levels that the box head uses."""
    return RowRoIAlign(detector.roi_heads.box_roi_pool.featmap_names, output_size=ROI_SIZE, sampling_ratio=2)
