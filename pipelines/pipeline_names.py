"""The pipelines, by the modules of this package that hold them."""

from typing import Literal

PipelineName = Literal["maskx_vg3000", "coco_split_study", "maskx_predict"]
"""The product; the study of the paper's tables and Figure 3 on COCO; batch prediction."""
