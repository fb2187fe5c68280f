"""Files of Visual Genome's and COCO's real size, made up: what the full-scale benchmarks read."""

from benchmarks.full_scale.files import FullScale, full_scale

__all__ = ["FullScale", "full_scale"]
