"""Visual Genome's files and folders, written or laid out otherwise: read, noted or told."""

import json
import shutil
from pathlib import Path

import pytest

from data_prep.storage.errors import DataError
from tests.data_prep.prepare.test_small_datasets import records
from tests.data_prep.small_sources import prepare_plainly, vg_image, vg_object, write_vg


def test_visual_genomes_numbers_may_be_text_and_a_record_may_stand_twice(tmp_path: Path) -> None:
    image = {**vg_image(9), "image_id": "9", "width": 40.0, "coco_id": "", "flickr_id": "123"}
    rewritten = {**vg_object(8, x=20.0), "object_id": "8", "w": "5", "synsets": "cat.n.01"}
    write_vg(tmp_path / "vg", [vg_image(9)], {})
    (tmp_path / "vg/image_data.json").write_text(json.dumps([image]))
    listed = {"image_id": "9", "objects": [vg_object(7), rewritten]}
    (tmp_path / "vg/objects.json").write_text(json.dumps([listed, listed]))
    manifest = prepare_plainly(tmp_path / "out", f"vg=vg:{tmp_path}/vg")
    assert [a.id for record in records(tmp_path / "out").values() for a in record.objects["vg"]] == [7, 8]
    assert manifest.left_out["vg"]["doubled"] == 2
    assert manifest.repaired["vg"]["number_written"] > 0
    assert manifest.rejected == {}


def test_visual_genomes_boxes_that_may_be_fractions_are_noted_or_refused(tmp_path: Path) -> None:
    fraction = vg_object(8, x=0.2, y=0.1, w=0.5, h=0.4)
    write_vg(tmp_path / "vg", [vg_image(9)], {9: [vg_object(7), fraction]})
    manifest = prepare_plainly(tmp_path / "out", f"vg=vg:{tmp_path}/vg")
    assert manifest.noted["vg"]["box_of_fractions"] == 1
    write_vg(tmp_path / "vg", [vg_image(9)], {9: [fraction] * 3})
    with pytest.raises(DataError, match="source vg: 3 of 3 boxes lie between 0 and 1"):
        prepare_plainly(tmp_path / "refused", f"vg=vg:{tmp_path}/vg")


@pytest.mark.parametrize("place", ["VG_100K", "images/VG_100K", "images2/VG_100K", "VG_100K/VG_100K"])
@pytest.mark.parametrize("top", ["", "visual_genome/"])
def test_visual_genome_may_lie_one_folder_deeper(tmp_path: Path, top: str, place: str) -> None:
    root = tmp_path / "vg" / top
    write_vg(root, [vg_image(9), vg_image(10)], {n: [vg_object(n)] for n in (9, 10)})
    moved = (root / "VG_100K/9.jpg").read_bytes()
    shutil.rmtree(root / "VG_100K")
    (root / place).mkdir(parents=True)
    (root / place / "9.jpg").write_bytes(moved)
    manifest = prepare_plainly(tmp_path / "out", f"vg=vg:{tmp_path}/vg")
    assert manifest.counts["train"]["vg"]["photographs"] == 2
    assert manifest.rejected == {}


def test_visual_genomes_images_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    write_vg(tmp_path / "vg", [vg_image(9)], {})
    (tmp_path / "vg/image_data.json").write_text(json.dumps([{**vg_image(9), "width": None}]))
    with pytest.raises(DataError, match=r"lists no images that can be read.*malformed 1×.*width: null"):
        prepare_plainly(tmp_path / "out", f"vg=vg:{tmp_path}/vg")
