"""`maskx predict` replaces and deletes no file that it did not write."""

from pathlib import Path

import pytest

from data_prep.storage.errors import ConfigError
from tests.maskx_model.inference.small_predictions import image_file, predict_files


@pytest.mark.parametrize("there", ["a.png", "images.json", "results.json"])
def test_a_file_that_is_not_maskxs_is_neither_replaced_nor_deleted(there: str, tmp_path: Path, model: str) -> None:
    image_file(tmp_path / "in/a.jpg")
    image_file(tmp_path / "out/a.png").rename(tmp_path / "out" / there)
    before = (tmp_path / "out" / there).read_bytes()
    with pytest.raises(ConfigError, match=rf"out/{there} is no .*choose another folder"):
        predict_files(model, [tmp_path / "in/a.jpg"], tmp_path / "out")
    assert (tmp_path / "out" / there).read_bytes() == before
    assert [each.name for each in (tmp_path / "out").iterdir()] == [there]


def test_an_image_to_predict_on_is_not_replaced_by_its_overlay(tmp_path: Path, model: str) -> None:
    """Not even where it is an overlay itself."""
    predict_files(model, [image_file(tmp_path / "a.png")], tmp_path / "out")
    overlay = (tmp_path / "out/a.png").read_bytes()
    for folder in (tmp_path, tmp_path / "out"):
        with pytest.raises(ConfigError, match=r"a\.png is an image to predict on.*choose another folder"):
            predict_files(model, [folder / "a.png"], folder)
    assert (tmp_path / "out/a.png").read_bytes() == overlay
