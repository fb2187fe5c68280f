"""`maskx predict`: which files are read, what is written, and what happens to images that cannot be read."""

import json
from pathlib import Path

import pytest
from PIL import Image
from pycocotools.coco import COCO

from data_prep.storage.errors import CheckpointError, ConfigError, DataError
from maskx_model.inference.predict_files import find_images, predict_files
from tests.maskx_model.synthetic_dataset import write_model

NAMES = ["cup", "chair"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_model(tmp_path_factory.mktemp("models") / "transfer", NAMES, "transfer")


def image_file(path: Path, width: int = 100, height: int = 80) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.linear_gradient("L").resize((width, height)).convert("RGB").save(path)
    return path


def test_folders_are_searched_for_images_of_any_depth_and_spelling(tmp_path: Path) -> None:
    for name in ("b/x.JPG", "b/deep/x.png", "a.jpeg", "b/.x.png", ".hidden/x.png"):
        image_file(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no image")
    found = find_images([tmp_path], tmp_path / "out")
    assert [str(each.path.relative_to(tmp_path)) for each in found] == ["a.jpeg", "b/deep/x.png", "b/x.JPG"]
    assert [each.overlay.as_posix() for each in found] == ["a.png", "b/deep/x.png", "b/x.png"]


def test_overlays_of_images_with_one_name_have_different_names(tmp_path: Path) -> None:
    inputs = [image_file(tmp_path / name) for name in ("one/x.png", "two/x.png", "two/x.jpg", "three/X.png")]
    found = find_images(inputs, tmp_path / "out")
    assert [str(each.overlay) for each in found] == ["x.png", "x-2.png", "x-3.png", "X-4.png"]


def test_an_image_named_twice_is_read_once(tmp_path: Path) -> None:
    file = image_file(tmp_path / "x.png")
    assert len(find_images([file, tmp_path, file], tmp_path / "out")) == 1


def test_overlays_of_an_earlier_run_are_not_taken_for_images(tmp_path: Path, model: str) -> None:
    image_file(tmp_path / "x.png")
    for _ in range(2):
        assert predict_files(model, [tmp_path], tmp_path / "out") == 1


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
    with pytest.raises(DataError, match=r"nothing: no JPEG or PNG files there"):
        predict_files(model, [tmp_path / "nothing"], out)
    with pytest.raises(DataError, match="no images were named"):
        predict_files(model, [], out)
    with pytest.raises(CheckpointError, match=r"detector: a detector without masks"):
        predict_files(detector, [file], out)
    with pytest.raises(CheckpointError, match=r"no manifest\.json"):
        predict_files(str(tmp_path / "nothing"), [file], out)
    with pytest.raises(ConfigError, match="min_score"):
        predict_files(model, [file], out, min_score=50)
    assert not out.exists()
