"""What a preset's local run passes to the pipeline."""

from pathlib import Path

import pytest

from data_prep.storage.errors import ConfigError, DataError
from maskx_model.presets import get_preset
from pipelines.plan import arguments_of


def test_the_toy_run_brings_its_own_data() -> None:
    arguments = arguments_of(Path("runs/demo"), get_preset("toy"), data=None, mask_classes=None)
    assert arguments["root"] == "runs/demo"
    assert arguments["sources"] == []
    assert arguments["mask_classes"] == ""  # the preset's own
    assert arguments["config"] == "runs/demo/config.yaml"
    assert set(arguments) == {"root", "sources", "config", "mask_classes", "accelerator_count", "prepare_cpu"}


def test_a_data_folder_is_read_by_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "coco").mkdir()
    (tmp_path / "visual_genome").mkdir()
    arguments = arguments_of(Path("out"), get_preset("real_sample"), tmp_path, mask_classes=None)
    assert arguments["sources"] == [f"coco=coco:{tmp_path}/coco", f"vg=vg:{tmp_path}/visual_genome"]
    assert arguments["mask_classes"] == ""
    (tmp_path / "visual_genome").rmdir()
    assert arguments_of(Path("out"), get_preset("coco_r50"), tmp_path, "coco")["sources"] == [
        f"coco=coco:{tmp_path}/coco"
    ]


def test_a_choice_of_mask_classes_goes_before_the_presets(tmp_path: Path) -> None:
    assert arguments_of(tmp_path, get_preset("toy"), None, "random:20:1")["mask_classes"] == "random:20:1"


def test_mistakes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="brings no data: pass --data"):
        arguments_of(tmp_path, get_preset("vg3000_r101"), None, None)
    with pytest.raises(DataError, match="neither coco/ nor visual_genome/"):
        arguments_of(tmp_path, get_preset("toy"), tmp_path / "nowhere", None)
