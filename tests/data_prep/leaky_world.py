"""Source folders in which Visual Genome has COCO's images under other ids, and other images under theirs."""

from pathlib import Path
from typing import Any

from tests.data_prep.pictures import burst, copied, encoded, scene
from tests.data_prep.small_sources import coco_image, coco_object, vg_image, vg_object, write_coco, write_vg

FULL, HALF = {"width": 320, "height": 240}, {"width": 160, "height": 120}


def write_world(folder: Path) -> Path:
    """COCO: 1 for training and 2 for validation. Visual Genome, two objects an image, no ids unless said.

    11 is a copy of 2; 12 the next frame of 3, which is validation's too; 13 a copy of 1; 14 and 15 have the ids of
    1 and 2 and show something else; 16 is a copy of 3 with its Flickr id.
    """
    coco = folder / "coco"
    write_coco(coco, [coco_image(1, **FULL)], [coco_object(1, 1)])
    url = "https://live.staticflickr.com/1/77_abc_z.jpg"
    write_coco(coco, [coco_image(2, **FULL), coco_image(3, flickr_url=url, **FULL)], [coco_object(2, 2)], "val")
    put(coco / "train2017/000000000001.jpg", encoded(scene(1)))
    put(coco / "val2017/000000000002.jpg", encoded(scene(2)))
    put(coco / "val2017/000000000003.jpg", encoded(burst(3)))
    images = [
        vg_image(11, **HALF),
        vg_image(12, **FULL),
        vg_image(13, **FULL),
        vg_image(14, coco_id=1, **FULL),
        vg_image(15, coco_id=2, **FULL),
        vg_image(16, flickr_id=77, **FULL),
    ]
    files = {
        11: copied(scene(2), scale=0.5),
        12: encoded(burst(3, subject=0.05, frame=1)),
        13: copied(scene(1)),
        14: encoded(scene(14)),
        15: encoded(scene(15)),
        16: copied(burst(3)),
    }
    write_genome(folder / "vg", images, files)
    return folder


def write_genome(folder: Path, images: list[Any], files: dict[int, bytes]) -> None:
    write_vg(folder, images, {i["image_id"]: [vg_object(10 * i["image_id"] + n) for n in range(2)] for i in images})
    for number, data in files.items():
        put(folder / ("VG_100K" if number % 2 else "VG_100K_2") / f"{number}.jpg", data)


def put(path: Path, data: bytes) -> None:
    assert path.exists()
    path.write_bytes(data)


def sources(world: Path) -> tuple[str, str]:
    return f"coco=coco:{world}/coco", f"vg=vg:{world}/vg"
