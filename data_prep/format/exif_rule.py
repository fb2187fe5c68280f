"""Which images are read upright, as their EXIF data say, where a dataset is prepared."""

from typing import Literal

ExifRule = Literal["auto", "apply", "ignore"]
"""`auto`: images whose listed size fits only the turned image; `apply`: all with an EXIF orientation; `ignore`:
none."""
