"""`maskx predict`: which files are read, what is written, and what happens to images that cannot be read."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from data_prep.storage.errors import CheckpointError, ConfigError, DataError
from maskx_model.inference.segmenter import Segmenter
from tests.maskx_model.inference.small_predictions import NAMES, image_file, predict_files
from tests.maskx_model.synthetic_dataset import write_model
from tests.rights import run_without_privilege


def test_an_image_whose_name_is_as_long_as_names_can_be_is_predicted_on(tmp_path: Path, model: str) -> None:
    for name in (f"{'x' * 251}.png", f"{'画' * 83}.png"):
        image_file(tmp_path / "in" / name)
    assert predict_files(model, [tmp_path / "in"], tmp_path / "out") == 2
    assert len(list((tmp_path / "out").glob("*.png"))) == 2


def test_overlays_of_an_earlier_run_are_not_taken_for_images(tmp_path: Path, model: str) -> None:
    image_file(tmp_path / "x.png")
    for _ in range(2):
        assert predict_files(model, [tmp_path], tmp_path / "out") == 1


def test_overlays_go_anywhere_but_among_the_images(tmp_path: Path, model: str) -> None:
    image_file(tmp_path / "photos/x.jpg")
    for _ in range(2):
        assert predict_files(model, [tmp_path / "photos"], tmp_path) == 1
    with pytest.raises(ConfigError, match=r"--out .*photos: is the folder of the images"):
        predict_files(model, [tmp_path / "photos"], tmp_path / "photos")


def test_results_are_cocos_and_name_all_objects_whatever_is_drawn(tmp_path: Path, model: str) -> None:
    image_file(tmp_path / "in/wide.jpg", 160, 90)
    image_file(tmp_path / "in/sub/tall.png", 90, 160)
    assert predict_files(model, [tmp_path / "in"], tmp_path / "out", min_score=1.0) == 2
    assert Image.open(tmp_path / "out/sub/tall.png").size == (270, 480)
    results = COCO(str(tmp_path / "out/images.json")).loadRes(str(tmp_path / "out/results.json"))
    images = {each["file_name"]: each for each in results.loadImgs(results.getImgIds())}
    assert set(images) == {str(tmp_path / "in/wide.jpg"), str(tmp_path / "in/sub/tall.png")}
    wide = images[str(tmp_path / "in/wide.jpg")]
    assert (wide["width"], wide["height"], wide["overlay"]) == (160, 90, "wide.png")
    found = results.loadAnns(results.getAnnIds(imgIds=[wide["id"]]))
    assert found
    assert all(results.annToMask(each).shape == (90, 160) for each in found)
    assert {each["name"] for each in results.loadCats(results.getCatIds())} == {*NAMES, "rare"}


def test_an_unreadable_image_is_named_at_the_end_when_the_others_are_done(tmp_path: Path, model: str) -> None:
    good = image_file(tmp_path / "in/good.png")
    (tmp_path / "in/bad.png").write_bytes(good.read_bytes()[:200])
    (tmp_path / "in/empty.jpg").write_bytes(b"")
    with pytest.raises(DataError, match=r"2 of 3 images could not be read.*bad\.png.*empty\.jpg"):
        predict_files(model, [tmp_path / "in"], tmp_path / "out")
    assert (tmp_path / "out/good.png").exists()
    assert {each["image_id"] for each in json.loads((tmp_path / "out/results.json").read_text())} == {1}
    assert not (tmp_path / "out/bad.png").exists()


def test_no_image_gives_an_empty_list_of_results(tmp_path: Path, model: str) -> None:
    (tmp_path / "bad.png").write_bytes(b"")
    with pytest.raises(DataError, match="1 of 1"):
        predict_files(model, [tmp_path / "bad.png"], tmp_path / "out")
    assert json.loads((tmp_path / "out/results.json").read_text()) == []


def test_what_cannot_be_done_is_said_before_anything_is_written(tmp_path: Path, model: str) -> None:
    file = image_file(tmp_path / "x.png")
    detector = write_model(tmp_path / "detector", NAMES, None)
    (tmp_path / "nothing").mkdir()
    out = tmp_path / "out"
    with pytest.raises(DataError, match=r"missing\.png: no such file or folder"):
        predict_files(model, [tmp_path / "missing.png"], out)
    with pytest.raises(DataError, match=r"nothing: no images there"):
        predict_files(model, [tmp_path / "nothing"], out)
    with pytest.raises(DataError, match="no images were named"):
        predict_files(model, [], out)
    with pytest.raises(CheckpointError, match=r"detector: a detector without masks"):
        predict_files(detector, [file], out)
    with pytest.raises(CheckpointError, match=r"no manifest\.json"):
        predict_files(str(tmp_path / "nothing"), [file], out)
    with pytest.raises(ConfigError, match="min_score"):
        predict_files(model, [file], out, min_score=50)
    with pytest.raises(ConfigError, match="--batch 0"):
        predict_files(model, [file], out, batch=0)
    with pytest.raises(ConfigError, match=r"--classes chairs: .* did you mean chair"):
        predict_files(model, [file], out, classes=("chairs",))
    assert not out.exists()


@pytest.mark.parametrize("kind", ["webp", "bmp", "tif", "gif", "jpg", "png"])
def test_every_kind_of_file_is_predicted_on(tmp_path: Path, model: str, kind: str) -> None:
    file = image_file(tmp_path / f"x.{kind}")
    assert predict_files(model, [file], tmp_path / "out") == 1
    assert Image.open(tmp_path / "out/x.png").size == (480, 384)


def test_16_bit_pixels_are_scaled_not_cut_off(tmp_path: Path, model: str) -> None:
    values = np.full((60, 80), 20000, np.uint16)
    values[10:40, 10:40] = 45000
    Image.fromarray(values).save(tmp_path / "x.png")
    assert predict_files(model, [tmp_path / "x.png"], tmp_path / "out", min_score=1.0) == 1
    shades = np.unique(np.asarray(Image.open(tmp_path / "out/x.png").convert("L")))
    assert {20000 >> 8, 45000 >> 8} <= set(shades.tolist())


def test_images_are_read_upright_and_results_are_of_the_upright_image(tmp_path: Path, model: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.linear_gradient("L").resize((100, 60)).save(tmp_path / "turned.png", exif=exif)
    Image.linear_gradient("L").resize((100, 60)).transpose(Image.Transpose.ROTATE_270).save(tmp_path / "upright.png")
    assert predict_files(model, [tmp_path / "turned.png", tmp_path / "upright.png"], tmp_path / "out") == 2
    images = json.loads((tmp_path / "out/images.json").read_text())["images"]
    assert [(each["width"], each["height"]) for each in images] == [(60, 100), (60, 100)]
    results = json.loads((tmp_path / "out/results.json").read_text())
    first, second = ([{**each, "image_id": 0} for each in results if each["image_id"] == n] for n in (1, 2))
    assert first == second
    assert all(each["segmentation"]["size"] == [100, 60] for each in first)
    turned, upright = (np.asarray(Image.open(tmp_path / f"out/{name}.png")) for name in ("turned", "upright"))
    assert np.array_equal(turned, upright)


def test_images_of_one_size_are_computed_together_and_the_order_stays(tmp_path: Path, model: str) -> None:
    for name, size in (("a", (100, 60)), ("b", (60, 100)), ("c", (100, 60)), ("d", (100, 60)), ("e", (60, 100))):
        image_file(tmp_path / f"in/{name}.png", *size)
    found = []
    for batch in (1, 2, 5):
        assert predict_files(model, [tmp_path / "in"], tmp_path / f"out{batch}", batch=batch) == 5
        images = json.loads((tmp_path / f"out{batch}/images.json").read_text())["images"]
        assert [each["overlay"] for each in images] == ["a.png", "b.png", "c.png", "d.png", "e.png"]
        found.append(json.loads((tmp_path / f"out{batch}/results.json").read_text()))
    best = [[max(each["score"] for each in some if each["image_id"] == n) for n in range(1, 6)] for some in found]
    assert np.allclose(best, best[0], atol=1e-5)
    sizes = [[tuple(each["segmentation"]["size"]) for each in some] for some in found]
    assert sizes == [sizes[0]] * 3


def test_only_the_classes_named_are_drawn_and_all_are_in_the_results(tmp_path: Path, model: str) -> None:
    file, cased = image_file(tmp_path / "x.png"), write_model(tmp_path / "cased", ["Bus", "bus"], "transfer")
    drawn = []
    for name, classes in (("all", ()), ("one", ("Cup",)), ("synset", ("c0.n.01",)), ("both", ("cup", "chair", "rare"))):
        assert predict_files(model, [file], tmp_path / name, min_score=0.0, classes=classes) == 1
        drawn.append(np.asarray(Image.open(tmp_path / name / "x.png")))
    every, one, synset, both = drawn
    assert np.array_equal(every, both)
    assert np.array_equal(one, synset)
    assert not np.array_equal(every, one)
    assert (tmp_path / "one/results.json").read_bytes() == (tmp_path / "all/results.json").read_bytes()
    for out, name in (("lower", "bus"), ("second", "c1.n.01")):
        predict_files(cased, [file], tmp_path / out, min_score=0.0, classes=(name,))
    assert (tmp_path / "lower/x.png").read_bytes() == (tmp_path / "second/x.png").read_bytes()


def test_a_run_that_was_cut_off_is_resumed(tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b", "c"):
        image_file(tmp_path / f"in/{name}.png")
    predict_files(model, [tmp_path / "in"], tmp_path / "whole")
    segmented = count_segmented(monkeypatch, fail_at=2)
    with pytest.raises(KeyboardInterrupt):
        predict_files(model, [tmp_path / "in"], tmp_path / "out")
    with pytest.raises(ConfigError, match="--resume"):
        predict_files(model, [tmp_path / "in"], tmp_path / "out", min_score=0.1, resume=True)
    del segmented[:]
    image_file(tmp_path / "in/b.png", 50, 50)
    image_file(tmp_path / "in/b.png")
    assert predict_files(model, [tmp_path / "in"], tmp_path / "out", resume=True) == 3
    assert len(segmented) == 2
    for name in ("results.json", "a.png", "b.png", "c.png"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert not (tmp_path / "out/.predict").exists()


def count_segmented(monkeypatch: pytest.MonkeyPatch, fail_at: int) -> list[int]:
    """The number of images of each batch; the batch at `fail_at` is interrupted, as by a person."""
    segmented: list[int] = []
    segment = Segmenter.segment_batch

    def counted(self: Segmenter, images: Any) -> Any:
        segmented.append(len(images))
        fail_at_once = len(segmented) == fail_at and not interrupted
        if fail_at_once:
            interrupted.append(True)
            raise KeyboardInterrupt
        return segment(self, images)

    interrupted: list[bool] = []
    monkeypatch.setattr(Segmenter, "segment_batch", counted)
    return segmented


def test_what_is_passed_over_is_logged(tmp_path: Path, model: str, caplog: pytest.LogCaptureFixture) -> None:
    image_file(tmp_path / "in/x.png")
    (tmp_path / "in/y.txt").write_text("no image")
    with caplog.at_level(logging.INFO):
        predict_files(model, [tmp_path / "in"], tmp_path / "out")
    assert f"passed over 1 file (1 × text: {tmp_path}/in/y.txt)" in caplog.text


def test_an_output_folder_without_rights_is_told_before_the_model_is_loaded(tmp_path: Path) -> None:
    image_file(tmp_path / "in/x.png")
    (tmp_path / "kept").mkdir(mode=0o500)
    told = run_without_privilege(
        "from data_prep.storage.errors import ConfigError\n"
        "from maskx_model.inference.predict_files import predict_files\n"
        "try:\n    predict_files('no model', ['in'], 'kept/out')\nexcept ConfigError as error:\n    print(error)",
        tmp_path,
    )
    assert told.startswith(f"kept/out: cannot be written (no rights to {tmp_path}/kept, or it is read-only)")
