"""Which images are read upright, as their EXIF data say, where a dataset is prepared."""

from typing import Literal

ExifRule = Literal["auto", "apply", "ignore"]
"""Those whose listed size fits the turned image alone; all with an orientation; none."""
