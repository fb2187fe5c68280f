"""A small generated world in the original file formats of COCO and Visual Genome: the embedded default."""

from data_prep.toy_world.classes import Style, class_groups
from data_prep.toy_world.world import write_toy_world

__all__ = ["Style", "class_groups", "write_toy_world"]
