"""Visual Genome's side: `image_data.json` and `objects.json`, with the troubles that the real files have."""

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_prep.toy_world.catalogue import Entry
from data_prep.toy_world.scenes import SeenObject

Box = tuple[int, int, int, int]  # x, y, w, h in pixels, integers as Visual Genome has them

URL = "https://visual-genome.invalid"
FIRST_OBJECT_ID = 1_000_001
STRAY_IMAGE_ID = 2_900_001  # in objects.json, not in image_data.json
NEAR_EDGE = 8  # pixels; boxes that end nearer to the image's edge may reach past it

# Which of every hundred objects are troubled, and how. Fixed places rather than chance: the rates are exact
# and the smallest world has each trouble.
_TROUBLES = (
    dict.fromkeys((3, 37, 71), "without_synset")
    | dict.fromkeys((13, 47, 81), "two_synsets")
    | {23: "zero_width"}
    | dict.fromkeys((19, 53, 87), "duplicated_box")
)
_EDGE_STRIDE = 12  # of the objects near an edge, one in so many has a box past it


class VisualGenomeFiles:
    """Collects the two files and counts, by split, what is wrong in them.

    Images whose JPEG is damaged carry no other trouble, so that the counts can be checked one by one.
    """

    def __init__(self) -> None:
        self.image_data: list[dict[str, Any]] = []
        self.objects: list[dict[str, Any]] = []
        self.troubles: dict[str, Counter[str]] = {"train": Counter(), "val": Counter()}
        self.synsets: Counter[str] = Counter()
        self._next_object_id = FIRST_OBJECT_ID
        self._seen = 0
        self._near_edge = 0

    def add(
        self, entry: Entry, members: tuple[SeenObject, ...], size: tuple[int, int], drawn_size: tuple[int, int]
    ) -> None:
        """Adds an image of ``size`` (width, height); ``members`` are on the ``drawn_size`` canvas."""
        url = f"{URL}/{entry.vg_path.removeprefix('visual_genome/')}"
        self.image_data.append(
            {
                "width": size[0],
                "height": size[1],
                "image_id": entry.vg_id,
                "url": url,
                "coco_id": entry.coco_id if entry.vg_knows_coco_id else None,
                "flickr_id": entry.flickr_id if entry.vg_knows_flickr_id else None,
            }
        )
        self._count_ids(entry)
        scale = size[0] / drawn_size[0]
        records = [record for member in members for record in self._records(entry, member, scale, size)]
        self.objects.append({"image_id": entry.vg_id, "objects": records, "image_url": url})

    def add_stray_record(self) -> None:
        """Adds to `objects.json` a record of an image that `image_data.json` does not know."""
        stray = self._record("grey stone", ["stone.n.01"], (10, 10, 30, 30))
        self.objects.append(
            {
                "image_id": STRAY_IMAGE_ID,
                "objects": [stray],
                "image_url": f"{URL}/VG_100K/{STRAY_IMAGE_ID}.jpg",
            }
        )

    def _count_ids(self, entry: Entry) -> None:
        counts = self.troubles[entry.split]
        if entry.in_coco and not entry.vg_knows_coco_id:
            counts["shared_without_coco_id" if entry.vg_knows_flickr_id else "shared_without_any_id"] += 1
        elif not entry.vg_knows_flickr_id:
            counts["own_without_flickr_id"] += 1

    def _records(self, entry: Entry, member: SeenObject, scale: float, size: tuple[int, int]) -> list[dict[str, Any]]:
        """The object as Visual Genome has it: one record, or two where its box was drawn twice."""
        box = _scaled_box(member.mask, scale, size)
        name, synsets = member.toy_class.name, [member.toy_class.synset]
        trouble = "none" if entry.vg_damage != "none" else self._next_trouble(box, size)
        if trouble != "none":
            self.troubles[entry.split][trouble] += 1
        if trouble == "without_synset":
            synsets = []
        elif trouble == "two_synsets":
            synsets = [*synsets, "thing.n.01"]
        elif trouble == "zero_width":
            box = (box[0], box[1], 0, box[3])
        elif trouble == "box_past_edge":
            box = _past_edge(box, size)
        if synsets == [member.toy_class.synset]:
            self.synsets[synsets[0]] += 2 if trouble == "duplicated_box" else 1
        records = [self._record(name, synsets, box)]
        if trouble == "duplicated_box":
            records.append(self._record(name, synsets, (box[0] + 1, box[1] + 1, box[2] - 1, box[3] - 2)))
        return records

    def _next_trouble(self, box: Box, size: tuple[int, int]) -> str:
        self._seen += 1
        trouble = _TROUBLES.get(self._seen % 100, "none")
        if trouble == "none" and min(_distances_to_edges(box, size)) <= NEAR_EDGE:
            self._near_edge += 1
            if self._near_edge % _EDGE_STRIDE == 0:
                return "box_past_edge"
        return trouble

    def _record(self, name: str, synsets: list[str], box: Box) -> dict[str, Any]:
        object_id, self._next_object_id = self._next_object_id, self._next_object_id + 1
        return {
            "synsets": synsets,
            "h": box[3],
            "object_id": object_id,
            "merged_object_ids": [],
            "names": [name],
            "w": box[2],
            "y": box[1],
            "x": box[0],
        }


def _scaled_box(mask: NDArray[np.bool_], scale: float, size: tuple[int, int]) -> Box:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    left, top = round(columns[0] * scale), round(rows[0] * scale)
    right, bottom = round((columns[-1] + 1) * scale), round((rows[-1] + 1) * scale)
    return left, top, min(right, size[0]) - left, min(bottom, size[1]) - top


def _distances_to_edges(box: Box, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """From the left, top, right and bottom edge, in pixels."""
    x, y, w, h = box
    return x, y, size[0] - (x + w), size[1] - (y + h)


def _past_edge(box: Box, size: tuple[int, int]) -> Box:
    """The box with its side that is nearest to the image's edge pulled three pixels past it."""
    distances = _distances_to_edges(box, size)
    nearest = distances.index(min(distances))
    grown = distances[nearest] + 3
    x, y, w, h = box
    moved = {0: (x - grown, y, w + grown, h), 1: (x, y - grown, w, h + grown), 2: (x, y, w + grown, h)}
    return moved.get(nearest, (x, y, w, h + grown))
