"""An image is found and read as its annotations mean it: its name, its size, and which way is up."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from data_prep.format.exif_rule import ExifRule
from data_prep.format.orientation import turned_back
from data_prep.prepare.options import PrepareOptions
from data_prep.prepare.prepare import prepare
from data_prep.storage.errors import ConfigError
from maskx_model.annotate.summary import describe
from tests.maskx_model.annotate.small_boxes import annotation, png, write_boxes
from tests.maskx_model.annotate.small_runs import annotated, run


def write_turned(folder: Path, orientation: int, listed: tuple[int, int], box: list[float]) -> str:
    """Image 1, 120 × 120 or 160 × 120 pixels when it is shown, stored so that it needs its EXIF orientation; `listed`
    are width and height. Returns the `--source` option."""
    source = write_boxes(folder, [annotation(1, bbox=box)], images=1)
    document = json.loads((folder / "boxes.json").read_text())
    document["images"][0] |= {"width": listed[0], "height": listed[1]}
    (folder / "boxes.json").write_text(json.dumps(document))
    shown = np.asarray(Image.open(folder / "images/1.png"))
    exif = Image.Exif()
    exif[0x0112] = orientation
    square = shown[:, :120] if listed[0] == listed[1] else shown
    Image.fromarray(turned_back(square, orientation)).save(folder / "images/1.png", exif=exif)
    return source


def without_orientation(folder: Path, *, upright: bool) -> None:
    """Write image 1 again, upright or as it is stored, with nothing to say how to turn it."""
    with Image.open(folder / "images/1.png") as image:
        pixels = np.asarray(ImageOps.exif_transpose(image) if upright else image)
    Image.fromarray(pixels).save(folder / "images/1.png")


@pytest.mark.parametrize(("orientation", "listed"), [(3, (160, 120)), (6, (120, 120))])
@pytest.mark.parametrize(("exif", "upright"), [("auto", False), ("apply", True), ("ignore", False)])
def test_the_rule_decides_where_the_size_does_not_and_auto_says_so(
    orientation: int, listed: tuple[int, int], exif: ExifRule, upright: bool, model: str, tmp_path: Path
) -> None:
    source = write_turned(tmp_path, orientation, listed, [10, 20, 80, 50])
    summary = run(model, tmp_path / "out", source, exif=exif)
    assert summary.outcomes == {"segmented": 1}
    assert summary.exif_orientation == (exif == "auto")
    told = "1 images with an EXIF orientation, used as they are stored" in describe(summary, "out")
    shown = "say --exif apply" in (tmp_path / "out/page.html").read_text()
    assert told == shown == (exif == "auto")
    without_orientation(tmp_path, upright=upright)
    assert run(model, tmp_path / "plain", source).exif_orientation == 0
    assert annotated(tmp_path / "out")[0]["segmentation"] == annotated(tmp_path / "plain")[0]["segmentation"]


def test_boxes_of_upright_images_may_stand_beside_the_stored_images_size(model: str, tmp_path: Path) -> None:
    """Of eight boxes that reach beyond a listed size, all are used where the rule says what they mean."""
    source = write_turned(tmp_path, 6, (120, 160), [100, 20, 50, 80])
    document = json.loads((tmp_path / "boxes.json").read_text())
    document["annotations"] *= 8
    (tmp_path / "boxes.json").write_text(json.dumps(document))
    assert run(model, tmp_path / "out", source, exif="apply").outcomes == {"segmented": 8}
    assert annotated(tmp_path / "out")[0]["segmentation"]["size"] == [120, 160]


def test_an_image_that_fits_only_upright_is_not_used_where_orientations_are_ignored(model: str, tmp_path: Path) -> None:
    source = write_turned(tmp_path, 6, (160, 120), [10, 20, 80, 50])
    assert run(model, tmp_path / "out", source, exif="ignore").outcomes == {"no_image": 1}
    with pytest.raises(ConfigError, match="holds a run that differs in exif"):
        run(model, tmp_path / "out", source)


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
