"""torchvision's COCO detector as ours: the same detections, under the labels of the dataset."""

import json
import logging
import re
import shutil
import subprocess
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import tyro
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN, fasterrcnn_resnet50_fpn

from data_prep.format.vocabulary import SourceClass, Vocabulary, VocabularyClass, write_vocabulary
from data_prep.storage.errors import CheckpointError, ConfigError
from maskx_model.artifacts.model_folder import load_model, read_model_manifest
from maskx_model.artifacts.torchvision_detector import CATEGORIES, WITHOUT_EPS
from maskx_model.cli.train_detector import train_detector as detector_command
from maskx_model.presets import coco_r50
from maskx_model.run_config import RunConfig
from maskx_model.training.pretrained import import_detector
from maskx_model.training.stages import train_masks
from tests.maskx_model.artifacts.published_file import published
from tests.maskx_model.model.test_backbones import write_trap
from tests.maskx_model.synthetic import random_world
from tests.maskx_model.synthetic_dataset import write_dataset
from tests.processes import REPOSITORY

SIZE = 128
ALL_IDS = [i for i, name in enumerate(CATEGORIES) if name not in ("__background__", "N/A")]


def small_coco_r50() -> RunConfig:
    """The preset itself, for small images; stage 2 of one step."""
    preset = coco_r50()
    return replace(
        preset,
        detector=replace(preset.detector, min_size=SIZE, max_size=2 * SIZE),
        stage2=replace(preset.stage2, steps=1, images_per_batch=1, log_every=1),
    )


def vocabulary(ids: list[int]) -> Vocabulary:
    return Vocabulary(
        tuple(
            VocabularyClass(f"{CATEGORIES[i]}.n.01", CATEGORIES[i], {"coco": SourceClass((CATEGORIES[i],), 5, 5)}, i)
            for i in ids
        )
    )


def torchvisions(build: Callable[..., FasterRCNN] = fasterrcnn_resnet50_fpn, eps: float = 0.0) -> FasterRCNN:
    """torchvision's model as it is with its published weights, eps 0 included, but with random ones: variances over
    eight decades, so that eps matters, and a classifier that finds many classes, never an id that COCO left unused."""
    torch.manual_seed(0)
    model = build(weights=None, weights_backbone=None, num_classes=91, min_size=SIZE, max_size=2 * SIZE)
    for name, module in model.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_var is not None and module.running_mean is not None
            module.eps = eps
            module.running_var.copy_(10 ** (torch.rand(module.num_features) * 8 - 8))
            module.running_mean.normal_(std=0.1)
            scale = (torch.rand(module.num_features) + 0.5) * (0.2 if name.endswith("bn3") else 1.0)
            module.weight.data.copy_(scale * module.running_var.sqrt())
            module.bias.data.normal_(std=0.1)
    model.eval()
    spread_over_classes(model)
    return model


def spread_over_classes(model: FasterRCNN) -> None:
    """Logits of mean 0 and deviation 1.5 over the RoIs of the image, so that many classes are found."""
    predictor = model.roi_heads.box_predictor
    vectors: list[Tensor] = []
    watching = model.roi_heads.box_head.register_forward_hook(lambda _, __, output: vectors.append(output))
    detections(model)
    watching.remove()
    nn.init.normal_(predictor.cls_score.weight)
    logits = vectors[0] @ predictor.cls_score.weight.data.T
    predictor.cls_score.weight.data *= 1.5 / logits.std(0)[:, None]
    predictor.cls_score.bias.data = -1.5 * logits.mean(0) / logits.std(0)
    predictor.cls_score.bias.data[[i for i in range(91) if CATEGORIES[i] == "N/A"]] = -1e4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """`data`, of all of COCO's 80 classes, and `coco.pth`, torchvision's state dict."""
    folder = tmp_path_factory.mktemp("torchvision_weights")
    records, _ = random_world(0, 3, ["person", "zebra", "cup"])
    write_dataset(folder / "data", records, ["person", "zebra", "cup"], split="train")
    write_vocabulary(f"{folder}/data/vocabulary.json", vocabulary(ALL_IDS))
    torch.save(torchvisions().state_dict(), folder / "coco.pth")
    yield folder
    shutil.rmtree(folder)  # the weights are large


@pytest.fixture(scope="module")
def imported(folder: Path) -> str:
    with published(folder / "coco.pth"):
        import_detector(f"{folder}/data", f"{folder}/coco.pth", f"{folder}/detector", small_coco_r50())
    return f"{folder}/detector"


def detections(model: nn.Module) -> dict[str, Tensor]:
    coarse = torch.rand(1, 3, 3, 4, generator=torch.Generator().manual_seed(1))
    image = nn.functional.interpolate(coarse, (96, SIZE))[0]
    with torch.no_grad():
        found: dict[str, Tensor] = model([image])[0]
    return found


def assert_finds_the_same(imported: str, model: FasterRCNN) -> None:
    loaded = load_model(imported, "cpu")
    ours, theirs = detections(loaded.model), detections(model)
    assert len(theirs["labels"].unique()) > 5
    ids = torch.tensor([0, *(c.category_id or -1 for c in loaded.vocabulary.classes)])
    assert ids[ours["labels"]].tolist() == theirs["labels"].tolist()
    assert torch.allclose(ours["scores"], theirs["scores"], rtol=0, atol=1e-5)
    assert torch.allclose(ours["boxes"], theirs["boxes"], rtol=0, atol=1e-3)


def test_it_finds_what_torchvisions_finds(imported: str) -> None:
    assert_finds_the_same(imported, torchvisions())


def test_weights_of_ones_own_keep_the_eps_that_they_were_trained_with(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    torch.save((model := torchvisions(eps=1e-5)).state_dict(), tmp_path / "own.pth")
    import_detector(f"{folder}/data", f"{tmp_path}/own.pth", f"{tmp_path}/detector", small_coco_r50())
    assert_finds_the_same(f"{tmp_path}/detector", model)
    assert "own.pth: not a file that torchvision has published, so its batch norms keep their usual eps" in caplog.text
    assert f"it was not trained on {folder}/data. To train on that, leave out --pretrained" in caplog.text
    shutil.rmtree(tmp_path)


def test_torchvisions_published_files_are_known_by_their_content() -> None:
    assert WITHOUT_EPS == ("258fb6c6", "bf2d0c1e")


def test_a_finished_import_is_not_done_again(folder: Path, imported: str, caplog: pytest.LogCaptureFixture) -> None:
    before = {path: path.stat().st_mtime_ns for path in Path(imported).iterdir()}
    import_detector(f"{folder}/data", f"{folder}/coco.pth", imported, small_coco_r50())
    assert "detector: finished already, nothing to do" in caplog.text
    assert {path: path.stat().st_mtime_ns for path in Path(imported).iterdir()} == before
    assert set(read_model_manifest(imported).made_from) == {"weights", "vocabulary", "settings"}


@pytest.mark.slow
def test_stage_2_trains_masks_on_it(folder: Path, imported: str) -> None:
    train_masks(f"{folder}/data", imported, f"{folder}/masks", small_coco_r50(), device="cpu")
    assert load_model(f"{folder}/masks", "cpu").config.mask is not None
    line = json.loads(Path(folder, "masks/metrics.jsonl").read_text().splitlines()[0])
    assert 0 < line["loss_mask"] < 100


def test_published_weights_are_taken_from_torchvisions_cache_as_it_named_them_years_ago(
    folder: Path, imported: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    cached = tmp_path / "hub/checkpoints/fasterrcnn_resnet50_fpn_coco-258fb6c6.pth"
    cached.parent.mkdir(parents=True)
    torch.save(as_a_mask_rcnn_of_years_ago(torch.load(folder / "coco.pth", weights_only=True)), cached)
    with published(cached):
        import_detector(f"{folder}/data", "COCO_V1", f"{tmp_path}/detector", small_coco_r50())
    ours, expected = (load_model(uri, "cpu").model.state_dict() for uri in (f"{tmp_path}/detector", imported))
    assert ours.keys() == expected.keys()
    assert all(torch.equal(ours[name], expected[name]) for name in ours)
    shutil.rmtree(tmp_path)


def as_a_mask_rcnn_of_years_ago(state: dict[str, Tensor]) -> "OrderedDict[str, Tensor]":
    """Before torchvision 0.13 the convolutions of FPN and RPN had shorter names."""
    old = OrderedDict((name, value) for name, value in state.items() if "num_batches" not in name)
    for name in list(old):
        old[re.sub(r"(rpn\.head\.conv|fpn\.\w+_blocks\.\d)(\.0)+\.", r"\1.", name)] = old.pop(name)
    assert "rpn.head.conv.weight" in old and "backbone.fpn.inner_blocks.0.weight" in old
    return OrderedDict([*old.items(), ("roi_heads.mask_head.mask_fcn1.weight", torch.zeros(2))])


def test_a_download_that_fails_says_what_to_pass_instead(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with pytest.raises(CheckpointError, match=r"COCO_V1 could not be downloaded .* pass the file to --pretrained"):
        import_detector(f"{folder}/data", "COCO_V1", f"{tmp_path}/out", small_coco_r50())
    assert not list(tmp_path.rglob("*.pth")) and not Path(tmp_path, "out").exists()


def test_a_preset_of_another_shape_is_refused(folder: Path, tmp_path: Path) -> None:
    preset = small_coco_r50()
    r101 = replace(preset, name="vg3000_r101", detector=replace(preset.detector, backbone="resnet101"))
    with pytest.raises(ConfigError, match="vg3000_r101: its detector has backbone 'resnet101' instead of 'resnet50'"):
        import_detector(f"{folder}/data", f"{folder}/coco.pth", f"{tmp_path}/out", r101)


def test_weights_that_are_neither_a_file_nor_known_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'COCO_V9': neither a file nor one of torchvision's COCO_V1, DEFAULT"):
        import_detector(f"{folder}/data", "COCO_V9", f"{tmp_path}/out", small_coco_r50())


def damaged_files(folder: Path, tmp_path: Path) -> dict[str, str]:
    """A file for each way in which weights can be wrong, and what is said of it."""
    write_trap(tmp_path / "trap.pth", tmp_path / "trapped", legacy=False)
    (tmp_path / "cut.pth").write_bytes((folder / "coco.pth").read_bytes()[:1000])
    torch.save({"conv1.weight": torch.zeros(2)}, tmp_path / "other.pth")
    predictor = {"cls_score.weight": (5, 1024), "cls_score.bias": (5,)}
    torch.save({f"roi_heads.box_predictor.{k}": torch.zeros(v) for k, v in predictor.items()}, tmp_path / "five.pth")
    another = "not the weights of torchvision's fasterrcnn_resnet50_fpn with COCO's 91 outputs"
    return {"trap": "holds more than tensors", "cut": "not a file of tensors", "other": another, "five": another}


def test_other_files_are_refused_and_nothing_is_written(folder: Path, tmp_path: Path) -> None:
    for name, problem in damaged_files(folder, tmp_path).items():
        with pytest.raises(CheckpointError, match=f"{name}.pth: {problem}"):
            import_detector(f"{folder}/data", f"{tmp_path}/{name}.pth", f"{tmp_path}/out", small_coco_r50())
    assert not (tmp_path / "trapped").exists() and not (tmp_path / "out").exists()


def test_variances_of_zero_are_refused(folder: Path, tmp_path: Path) -> None:
    state = torch.load(folder / "coco.pth", weights_only=True)
    state["backbone.body.bn1.running_var"][3] = 0
    zero = folder / "zero.pth"
    torch.save(state, zero)
    message = r"zero.pth: holds weights or variances that are not finite"
    with published(zero), pytest.raises(CheckpointError, match=message):
        import_detector(f"{folder}/data", str(zero), f"{tmp_path}/out", small_coco_r50())


def test_the_command_takes_pretrained_weights_and_no_options_beside_them(folder: Path, tmp_path: Path) -> None:
    options = [f"--dataset={folder}/data", f"--out={tmp_path}/out", f"--pretrained={folder}/coco.pth"]
    command = [sys.executable, "-m", "pipelines.cli", "train", "detector", *options]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "preset vg3000_r101: its detector has backbone 'resnet101'" in done.stderr
    for option in ("steps=5", "learning-rate=0.1", "seed=1", "source=coco", "device=cpu", "experiment=mine"):
        with pytest.raises(ConfigError, match=f"--{option.partition('=')[0]}: all classes of .*/data are COCO's, so "):
            tyro.cli(detector_command, args=[*options, "--preset=own_r50", f"--{option}"])
