"""Frozen features on disk: the training is the same, whatever stands in the folder."""

import logging
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.format.reader import Dataset
from data_prep.storage.errors import ConfigError
from maskx_model.artifacts.model_folder import read_model_manifest
from maskx_model.config import Compute
from maskx_model.data.samples import Sample
from maskx_model.presets import PRESETS
from maskx_model.run_config import RunConfig
from maskx_model.training.feature_cache import FeatureCache
from maskx_model.training.feature_room import Room, check_room, image_bytes, room_for
from maskx_model.training.frozen_image import FrozenImage, frozen_image
from maskx_model.training.stages import train_masks
from pipelines.cli import main
from tests.maskx_model.samples import busy_samples, frozen_detector, sample
from tests.maskx_model.tiny_presets import tiny, tiny_cached
from tests.maskx_model.training.rank_tasks import train_with_cache
from tests.maskx_model.training.ranks import FORKS, on_ranks
from tests.maskx_model.training.same_model import assert_same_model
from tests.processes import wait_for

STEPS = 16
"""Of two images, of some twenty with a mask: some come more than once."""


def with_stage2(**changes: object) -> RunConfig:
    preset = tiny(STEPS, checkpoint_every=100)
    return replace(preset, stage2=replace(preset.stage2, **changes))  # type: ignore[arg-type]


def files_of(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.safetensors"))


@pytest.mark.parametrize(
    "preset",
    [with_stage2(), with_stage2(rois="jittered", compute=Compute("bf16"))],
    ids=["proposals in float32", "jittered boxes in bfloat16"],
)
def test_a_training_is_the_same_without_while_filling_and_from_the_cache(
    toy_dataset: Dataset, detector: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, preset: RunConfig
) -> None:
    caplog.set_level(logging.INFO)
    train_masks(toy_dataset.uri, detector, f"{tmp_path}/without", preset)
    for out in ("filling", "filled"):
        caplog.clear()
        train_masks(toy_dataset.uri, detector, f"{tmp_path}/{out}", preset, cache_features=f"{tmp_path}/cache")
        assert_same_model(tmp_path / "without", tmp_path / out)
        assert read_model_manifest(f"{tmp_path}/without") == read_model_manifest(f"{tmp_path}/{out}")
    assert f"features of 0 images computed; of {2 * STEPS} images read" in caplog.text


def test_what_it_takes_and_saves_is_told(
    toy_dataset: Dataset, detector: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    preset = with_stage2(flip=False, steps=32)
    train_masks(toy_dataset.uri, detector, f"{tmp_path}/out", preset, cache_features=f"{tmp_path}/cache")
    files = files_of(tmp_path / "cache")
    assert f"feature cache {tmp_path}/cache: {len(files)} files of " in caplog.text
    assert "0.0 kB are there" in caplog.text and "are free" in caplog.text
    assert "with computed ones: a step of 2 images " in caplog.text
    assert f"features of {len(files)} images computed, written in " in caplog.text


def test_mask_heads_of_other_classes_and_rois_share_a_folder(
    toy_dataset: Dataset, detector: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    cache = f"{tmp_path}/cache"
    train_masks(toy_dataset.uri, detector, f"{tmp_path}/first", with_stage2(), cache_features=cache)
    train_masks(
        toy_dataset.uri,
        detector,
        f"{tmp_path}/other",
        with_stage2(rois="gt"),
        kind="class_agnostic",
        cache_features=cache,
    )
    assert "features of 0 images computed" in caplog.text


def test_torn_and_foreign_files_are_computed_again_and_counted(
    toy_dataset: Dataset, detector: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache = tmp_path / "cache"
    train_masks(toy_dataset.uri, detector, f"{tmp_path}/first", with_stage2(), cache_features=str(cache))
    torn, empty, text, exchanged, gone, whole, *_ = files_of(cache)
    before = {path: path.read_bytes() for path in files_of(cache)}
    torn.write_bytes(before[torn][:-4])
    empty.write_bytes(b"")
    text.write_text("not tensors at all, but long enough to have a header")
    exchanged.write_bytes(before[whole])
    gone.unlink()
    (cache / ".left.by.a.kill.partial").write_bytes(b"half")
    caplog.set_level(logging.INFO)
    train_masks(toy_dataset.uri, detector, f"{tmp_path}/again", with_stage2(), cache_features=str(cache))
    assert_same_model(tmp_path / "first", tmp_path / "again")
    assert "features of 5 images computed, written in " in caplog.text
    assert "4 in place of a file that was torn or of something else" in caplog.text
    assert caplog.text.count("computed again (") == 1
    assert {path: path.read_bytes() for path in files_of(cache)} == before


def test_a_training_killed_while_filling_leaves_whole_files(
    toy_dataset: Dataset, detector: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache = tmp_path / "cache"
    arguments = (toy_dataset.uri, detector, f"{tmp_path}/killed", str(cache), 2000)
    process = FORKS.Process(target=train_with_cache, args=arguments)
    process.start()
    wait_for("eight files", lambda: len(files_of(cache)) >= 8 or not process.is_alive())
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    left = files_of(cache)
    caplog.set_level(logging.INFO)
    train_masks(toy_dataset.uri, detector, f"{tmp_path}/after", with_stage2(), cache_features=str(cache))
    assert "in place of" not in caplog.text
    assert f"features of {len(files_of(cache)) - len(left)} images computed" in caplog.text


def test_ranks_fill_one_folder_together(
    toy_dataset: Dataset, detector: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache = f"{tmp_path}/cache"
    on_ranks(2, train_with_cache, toy_dataset.uri, detector, f"{tmp_path}/two", cache, STEPS)
    caplog.set_level(logging.INFO)
    train_with_cache(toy_dataset.uri, detector, f"{tmp_path}/one", cache, STEPS)
    assert f"features of 0 images computed; of {2 * STEPS} images read" in caplog.text


def test_a_dry_run_by_command_tells_what_the_cache_takes_and_writes_nothing(
    toy_dataset: Dataset,
    detector: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(PRESETS, "tiny", lambda: tiny(100))
    words = ["train", "masks", "--preset", "tiny", "--dataset", toy_dataset.uri, "--detector", detector]
    main([*words, "--out", f"{tmp_path}/out", "--cache-features", f"{tmp_path}/cache", "--dry-run"])
    assert f"feature cache {tmp_path}/cache: " in capsys.readouterr().err
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("preset", "folder", "message"),
    [
        (tiny_cached(2), "cache", "--cache-features: this training has its RoIs in memory"),
        (with_stage2(jitter=0.5), "cache", r"with stage2.jitter 0.5 an image never comes twice as it was"),
        (tiny(2), "s3://bucket/cache", "s3://bucket/cache: this must be a folder or file on disk"),
    ],
)
def test_a_cache_that_cannot_be_used_is_refused(
    toy_dataset: Dataset, detector: str, tmp_path: Path, preset: RunConfig, folder: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        train_masks(toy_dataset.uri, detector, f"{tmp_path}/out", preset, cache_features=folder)


def test_a_cache_that_does_not_fit_is_refused_with_what_is_missing(tmp_path: Path) -> None:
    room = Room(files=1000, each=83e6, there=3 * 10**9, free=50 * 10**9)
    with pytest.raises(ConfigError) as error:
        check_room(tmp_path, room, flip=True)
    assert str(error.value) == (
        f"--cache-features {tmp_path}: 1000 files of 83.0 MB take 83.0 GB, 3.0 GB are there, 50.0 GB are free: 30.0 GB "
        "are missing; name a folder on a larger disk, or train without mirrored images, which halves it "
        "(--set stage2.flip=false), or leave --cache-features out"
    )
    check_room(tmp_path, replace(room, free=80 * 10**9), flip=True)


def test_mirrored_images_take_as_much_again_unless_fewer_are_seen(tmp_path: Path) -> None:
    sizes = [(64, 64), (64, 64), (128, 64)]
    rooms = [
        room_for(tmp_path, frozen_detector(), sizes, flip, torch.float32, seen)
        for flip, seen in ((True, 100), (False, 100), (True, 4))
    ]
    assert [room.files for room in rooms] == [6, 3, 4]
    assert len({room.each for room in rooms}) == 1


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 200), st.integers(1, 200))
def test_the_bytes_told_are_those_of_the_tensors(height: int, width: int) -> None:
    detector = frozen_detector()
    image = frozen_image(detector, sample([], [], size=(height, width)))
    levels = sum(level.numel() * level.itemsize for level in image.pyramid.values())
    proposals = detector.rpn.post_nms_top_n() * 16
    assert image_bytes(detector, width, height, torch.float32) == levels + proposals


def test_an_image_from_its_file_is_the_computed_one(tmp_path: Path) -> None:
    detector = frozen_detector()

    def compute(image: Sample) -> FrozenImage:
        return frozen_image(detector, image)

    cache = FeatureCache(tmp_path, {"detector": "a"}, compute, torch.device("cpu"))
    for image in busy_samples(0, 3):
        first, second = cache(image), cache(image)
        assert first.size == second.size
        assert first.pyramid.keys() == second.pyramid.keys()
        assert all(torch.equal(level, second.pyramid[name]) for name, level in first.pyramid.items())
        assert first.proposals is not None and second.proposals is not None
        assert torch.equal(first.proposals, second.proposals)
    assert (cache.computed, cache.read, cache.replaced) == (3, 3, 0)


def test_files_are_of_other_pixels_and_of_another_detector_apart(tmp_path: Path) -> None:
    detector = frozen_detector()
    (image,) = busy_samples(0, 1)
    brighter = replace(image, key=image.key, image=image.image // 2 + np.uint8(1))
    caches = [
        FeatureCache(tmp_path, {"detector": name}, lambda each: frozen_image(detector, each), torch.device("cpu"))
        for name in ("a", "b")
    ]
    for cache in caches:
        for each in (image, brighter, replace(image, key="coco-000000000099")):
            cache(each)
        assert (cache.computed, cache.read) == (2, 1)
    assert len(files_of(tmp_path)) == 4
