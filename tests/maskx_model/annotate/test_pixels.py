"""An image is found and read as its annotations mean it: its name, its size, and which way is up."""

import json
from pathlib import Path

from PIL import Image

from data_prep.prepare.options import PrepareOptions
from data_prep.prepare.prepare import prepare
from tests.maskx_model.annotate.small_boxes import annotation, png, write_boxes
from tests.maskx_model.annotate.small_runs import annotated, run


def test_an_image_is_read_upright_where_only_that_fits(model: str, tmp_path: Path) -> None:
    source = write_boxes(tmp_path, [annotation(1), annotation(2, 2)])
    upright = Image.open(tmp_path / "images/1.png").convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6
    upright.rotate(90, expand=True).save(tmp_path / "images/1.png", exif=exif)
    Image.new("RGB", (50, 40)).save(tmp_path / "images/2.png")
    summary = run(model, tmp_path / "turned", source)
    assert summary.outcomes == {"segmented": 1, "no_image": 1}
    assert "50×40 pixels, listed as 160×120" in summary.problems[0]
    write_boxes(tmp_path, [annotation(1), annotation(2, 2)])
    run(model, tmp_path / "stored", source)
    assert annotated(tmp_path / "turned")[0]["segmentation"] == annotated(tmp_path / "stored")[0]["segmentation"]


def test_a_datasets_upright_images_are_read_upright(model: str, tmp_path: Path) -> None:
    """Of a square image its size does not tell; the record does."""
    source = write_boxes(tmp_path, [annotation(3)], images=1)
    square = png(1, 120, 120)
    document = json.loads((tmp_path / "boxes.json").read_text())
    document["images"][0]["width"] = 120
    (tmp_path / "boxes.json").write_text(json.dumps(document))
    (tmp_path / "images/1.png").write_bytes(square)
    run(model, tmp_path / "plain", source)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(tmp_path / "images/1.png").rotate(90, expand=True).save(tmp_path / "images/1.png", exif=exif)
    prepare(PrepareOptions((source,), f"{tmp_path}/data", exif="apply"))
    run(model, tmp_path / "turned", dataset=f"{tmp_path}/data", split="train", source_name="mine")
    (plain,), (turned,) = annotated(tmp_path / "plain"), annotated(tmp_path / "turned", "mine-train.json")
    assert turned["segmentation"] == plain["segmentation"]


def test_a_name_that_a_rule_finds_is_found(model: str, tmp_path: Path) -> None:
    source = write_boxes(tmp_path, [annotation(3)], images=1)
    (tmp_path / "images/1.png").rename(tmp_path / "images/1.PNG")
    assert run(model, tmp_path / "out", source).outcomes == {"segmented": 1}


def test_a_size_that_is_not_listed_or_rounded_is_the_files(model: str, tmp_path: Path) -> None:
    source = write_boxes(tmp_path, [annotation(1), annotation(2, 2)])
    document = json.loads((tmp_path / "boxes.json").read_text())
    del document["images"][0]["width"]
    document["images"][1] |= {"width": "161", "height": 119.0}
    (tmp_path / "boxes.json").write_text(json.dumps(document))
    assert run(model, tmp_path / "out", source).outcomes == {"segmented": 2}
    assert [a["segmentation"]["size"] for a in annotated(tmp_path / "out")] == [[120, 160], [120, 160]]
