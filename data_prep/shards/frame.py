"""Which pixels an image's annotations speak of: those that its file stores, or the image turned upright.

Its EXIF data say how to turn it. Most programs for annotating show images upright; what they write as width and height
tells.
"""

from typing import Literal

from data_prep.format.exif_rule import ExifRule
from data_prep.format.images import Luminance
from data_prep.format.orientation import AS_STORED
from data_prep.sources.images import SourceImage

Finding = Literal["exif_upright", "exif_orientation"]


def is_upright(listed: SourceImage, shown: Luminance, rule: ExifRule) -> bool:
    """Whether the annotations speak of the upright image: with `auto`, if the listed size fits that image alone."""
    if rule == "ignore" or shown.orientation == AS_STORED:
        return False
    size = (listed.width, listed.height)
    return rule == "apply" or (size == shown.upright_size and size != (shown.width, shown.height))


def finding(listed: SourceImage, shown: Luminance, rule: ExifRule) -> tuple[Finding, str] | None:
    """What to report of an image with an EXIF orientation: the reason's code, and what was found."""
    if rule == "ignore" or shown.orientation == AS_STORED:
        return None
    width, height = shown.upright_size
    seen = (
        f"EXIF orientation {shown.orientation}: stored as {shown.width}×{shown.height}, shown as {width}×{height}, "
        f"listed as {listed.width}×{listed.height}"
    )
    return ("exif_upright" if is_upright(listed, shown, rule) else "exif_orientation"), seen
