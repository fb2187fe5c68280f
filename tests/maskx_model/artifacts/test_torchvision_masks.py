"""torchvision's COCO Mask R-CNN as ours: the same masks, under the labels of the dataset, or features to begin with."""

import re
import shutil
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import tyro
from torch import Tensor, nn
from torchvision.models.detection import MaskRCNN, maskrcnn_resnet50_fpn

from data_prep.format.vocabulary import SourceClass, Vocabulary, VocabularyClass, write_vocabulary
from data_prep.storage.errors import CheckpointError, ConfigError, MaskxError
from maskx_model.artifacts.model_folder import load_model, read_model_manifest
from maskx_model.artifacts.torchvision_masks import load_coco_features
from maskx_model.cli.train_masks import train_masks as masks_command
from maskx_model.config import MaskConfig
from maskx_model.model.mask_branch import MaskBranch
from maskx_model.model.maskx_rcnn import MaskXRCNN
from maskx_model.run_config import RunConfig
from maskx_model.training.pretrained import import_detector, import_masks, pretrained_features
from maskx_model.training.stages import train_masks
from tests.maskx_model.artifacts.published_file import published
from tests.maskx_model.artifacts.test_torchvision_detector import SIZE, small_coco_r50, torchvisions, vocabulary
from tests.maskx_model.synthetic import random_world
from tests.maskx_model.synthetic_dataset import write_dataset

IDS = [1, 24, 47, 90]
IGLOO = VocabularyClass("igloo.n.01", "igloo", {"vg": SourceClass(("igloo.n.01",), 3)})
MASKS = "roi_heads.mask_"


def class_specific() -> RunConfig:
    return replace(small_coco_r50(), mask=MaskConfig(kind="class_specific", mlp="none", class_bias=True))


def mask_rcnn() -> MaskRCNN:
    """torchvision's model with random weights, which detects many classes and whose biases differ."""
    model = torchvisions(maskrcnn_resnet50_fpn)
    assert isinstance(model, MaskRCNN)
    torch.manual_seed(7)
    nn.init.normal_(model.roi_heads.mask_predictor.mask_fcn_logits.bias)
    return model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """`data`, of four of COCO's classes and an igloo; `coco.pth`, torchvision's state dict; `detector`, made of it."""
    folder = tmp_path_factory.mktemp("torchvision_masks")
    names = ["person", "zebra", "cup"]
    records, _ = random_world(0, 3, names)
    write_dataset(folder / "coco", records, names, split="train")
    write_vocabulary(f"{folder}/coco/vocabulary.json", vocabulary(IDS))
    shutil.copytree(folder / "coco", folder / "data")
    write_vocabulary(f"{folder}/data/vocabulary.json", Vocabulary((*vocabulary(IDS).classes, IGLOO)))
    torch.save(mask_rcnn().state_dict(), folder / "coco.pth")
    with published(folder / "coco.pth"):
        import_detector(f"{folder}/coco", f"{folder}/coco.pth", f"{folder}/detector", small_coco_r50())
    yield folder
    shutil.rmtree(folder)  # the weights are large


@pytest.fixture(scope="module")
def imported(folder: Path) -> MaskXRCNN:
    import_masks(f"{folder}/coco", f"{folder}/detector", f"{folder}/coco.pth", f"{folder}/masks", class_specific())
    model = load_model(f"{folder}/masks", "cpu").model
    assert isinstance(model, MaskXRCNN)
    return model


def state(folder: Path) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = torch.load(folder / "coco.pth", weights_only=True)
    return tensors


def test_masks_are_torchvisions(imported: MaskXRCNN) -> None:
    theirs = mask_rcnn()
    image = nn.functional.interpolate(torch.rand(1, 3, 3, 4, generator=torch.Generator().manual_seed(1)), (96, SIZE))[0]
    encoded = imported.encode([image])
    boxes = torch.tensor([[5.0, 8, 70, 60], [30, 20, 100, 90], [2, 2, 40, 94], [60, 3, 120, 33], [9, 9, 90, 90]])
    labels = torch.tensor([1, 2, 3, 4, 2])
    (ours,) = imported.segment(encoded, [boxes], [labels])
    ((height, width),) = encoded.sizes
    scaled = boxes * torch.tensor([width / SIZE, height / 96]).repeat(2)
    with torch.no_grad():
        batch, _ = theirs.transform([image])
        features = theirs.roi_heads.mask_roi_pool(theirs.backbone(batch.tensors), [scaled], batch.image_sizes)
        logits = theirs.roi_heads.mask_predictor(theirs.roi_heads.mask_head(features))
    expected = logits[torch.arange(5), torch.tensor([0, *IDS])[labels]].sigmoid()
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-4)
    assert expected.std() > 0.1


def test_the_model_says_that_it_saw_masks_of_cocos_classes(folder: Path, imported: MaskXRCNN) -> None:
    loaded = load_model(f"{folder}/masks", "cpu")
    assert loaded.mask_classes == (0, 1, 2, 3) and loaded.config.mask == class_specific().mask
    assert set(read_model_manifest(f"{folder}/masks").made_from) == {"weights", "vocabulary", "settings", "detector"}


def test_a_finished_import_is_not_done_again(
    folder: Path, imported: MaskXRCNN, caplog: pytest.LogCaptureFixture
) -> None:
    import_masks(f"{folder}/coco", f"{folder}/detector", f"{folder}/coco.pth", f"{folder}/masks", class_specific())
    assert "masks: finished already, nothing to do" in caplog.text


def as_of_years_ago(tensors: dict[str, Tensor]) -> "OrderedDict[str, Tensor]":
    """Before torchvision 0.13 the convolutions of the mask head were numbered from 1."""

    def renamed(name: str) -> str:
        return re.sub(r"mask_head\.(\d)\.0", lambda number: f"mask_head.mask_fcn{int(number[1]) + 1}", name)

    return OrderedDict((renamed(name), value) for name, value in tensors.items())


def test_files_of_years_ago_say_the_same(folder: Path, imported: MaskXRCNN, tmp_path: Path) -> None:
    old = as_of_years_ago({name: value for name, value in state(folder).items() if name.startswith(MASKS)})
    assert "roi_heads.mask_head.mask_fcn1.weight" in old
    torch.save(old, tmp_path / "old.pth")
    branch = MaskBranch(MaskConfig(mlp="none"), in_channels=256, box_dim=4, num_classes=4)
    load_coco_features(tmp_path / "old.pth", branch)
    expected = imported.mask_branch.features.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in branch.features.state_dict().items())


def test_stage_2_begins_with_its_features(folder: Path, tmp_path: Path) -> None:
    preset = small_coco_r50()
    frozen = replace(preset.stage2, learning_rates=(0.0,))  # so that the model shows what it began with
    preset = replace(preset, mask=MaskConfig(mlp="none"), stage2=frozen)
    features = pretrained_features(f"{folder}/coco.pth", preset)
    train_masks(
        f"{folder}/coco", f"{folder}/detector", f"{tmp_path}/out", preset, features=features, mask_classes="coco"
    )
    model = load_model(f"{tmp_path}/out", "cpu").model
    assert isinstance(model, MaskXRCNN)
    ours, theirs = model.mask_branch.features.state_dict(), state(folder)
    assert torch.equal(ours["0.weight"], theirs["roi_heads.mask_head.0.0.weight"])
    assert torch.equal(ours["8.bias"], theirs["roi_heads.mask_predictor.conv5_mask.bias"])
    assert read_model_manifest(f"{tmp_path}/out").made_from["weights"] == features.sha256


def test_classes_that_coco_lacks_begin_anew_and_are_counted(
    folder: Path, imported: MaskXRCNN, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    preset = class_specific()
    preset = replace(preset, stage1=replace(preset.stage1, steps=1, images_per_batch=1, learning_rates=(0.0,)))
    import_detector(f"{folder}/data", f"{folder}/coco.pth", f"{tmp_path}/detector", preset)
    import_masks(f"{folder}/data", f"{tmp_path}/detector", f"{folder}/coco.pth", f"{tmp_path}/masks", preset)
    told = "coco.pth: 4 of the 5 classes are COCO's and take its rows; the other 1 begin with new ones"
    assert caplog.text.count(told) == 2
    loaded = load_model(f"{tmp_path}/masks", "cpu")
    assert isinstance(loaded.model, MaskXRCNN)
    assert loaded.mask_classes == (0, 1, 2, 3)
    ours, expected = loaded.model.w_seg(), imported.w_seg()
    assert torch.equal(ours[:5], expected) and ours.shape == (6, 257)
    assert ours[5, :256].std() > 0 and ours[5, 256] == 0
    predictor, known = (m.detector.roi_heads.box_predictor for m in (loaded.model, imported))
    assert torch.equal(predictor.cls_score.weight[:5], known.cls_score.weight)
    assert torch.equal(predictor.bbox_pred.bias[:20], known.bbox_pred.bias)
    assert Path(tmp_path, "detector/metrics.jsonl").read_text().count('"step":1,') == 1  # trained on


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mlp": "light"}, "does not fit: mlp 'light' instead of 'none'"),
        ({"class_bias": False}, "does not fit: class_bias False instead of True"),
        ({"head": "hourglass", "channels": 64}, "head 'hourglass' instead of 'fcn4', channels 64 instead of 256"),
    ],
)
def test_another_shape_is_refused(folder: Path, tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    preset = class_specific()
    preset = replace(preset, mask=replace(preset.mask, **changes))
    with pytest.raises(ConfigError, match=message):
        import_masks(f"{folder}/coco", f"{folder}/detector", f"{folder}/coco.pth", f"{tmp_path}/out", preset)


def test_features_fit_any_kind_and_mlp_but_not_another_head(folder: Path) -> None:
    preset = small_coco_r50()
    for mask in (MaskConfig(), MaskConfig(kind="class_agnostic", mlp="light")):
        assert pretrained_features(f"{folder}/coco.pth", replace(preset, mask=mask)).sha256
    with pytest.raises(ConfigError, match="does not fit: channels 64 instead of 256"):
        pretrained_features(f"{folder}/coco.pth", replace(preset, mask=MaskConfig(channels=64)))


def test_another_detectors_mask_branch_is_refused(folder: Path, tmp_path: Path) -> None:
    other = state(folder)
    other["roi_heads.box_head.fc6.weight"] = other["roi_heads.box_head.fc6.weight"] + 1
    torch.save(other, folder / "other.pth")
    with pytest.raises(CheckpointError, match=r"other.pth: its mask branch belongs to another detector"):
        import_masks(f"{folder}/coco", f"{folder}/detector", f"{folder}/other.pth", f"{tmp_path}/out", class_specific())
    assert not (tmp_path / "out").exists()


def changed(folder: Path, how: str) -> str:
    tensors = state(folder)
    if how == "maskless":
        tensors = {name: value for name, value in tensors.items() if not name.startswith(MASKS)}
    elif how == "of_five_classes":
        for part in ("weight", "bias"):
            name = f"{MASKS}predictor.mask_fcn_logits.{part}"
            tensors[name] = tensors[name][:5]
    elif how == "cut":
        del tensors[f"{MASKS}head.2.0.bias"]
    else:
        tensors[f"{MASKS}head.1.0.bias"][0] = float("nan")
    torch.save(tensors, folder / f"{how}.pth")
    return f"{folder}/{how}.pth"


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("maskless", "maskless.pth: has no mask branch; take the weights of torchvision's maskrcnn_resnet50_fpn"),
        (
            "of_five_classes",
            "of_five_classes.pth: not the weights of torchvision's maskrcnn_resnet50_fpn",
        ),
        ("cut", "cut.pth: not the weights of torchvision's maskrcnn_resnet50_fpn"),
        ("infinite", "infinite.pth: holds weights or variances that are not finite"),
    ],
)
def test_other_files_are_refused_and_nothing_is_written(folder: Path, tmp_path: Path, how: str, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        import_masks(f"{folder}/coco", f"{folder}/detector", changed(folder, how), f"{tmp_path}/out", class_specific())
    assert not (tmp_path / "out").exists()


UNUSED = """mask-classes=voc targets=grabcut rois=gt source=coco seed=1 scale-learning-rate precision=bf16 dry-run
compile-backbone device=cpu tracking-uri=sqlite:///x.db experiment=mine"""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        *((f"--kind class_specific --{it}", f"--{it.split('=')[0]}: --pretrained with") for it in UNUSED.split()),
        ("--kind class_specific", "torchvision's mask branch does not fit: mlp 'paper' instead of 'none', class_bias"),
        ("--channels 64", "torchvision's mask branch does not fit: channels 64 instead of 256"),
        ("--kind class_specific --mlp none --class-bias", "its model is not that of preset coco_r50"),
    ],
)
def test_the_command_takes_pretrained_masks(folder: Path, tmp_path: Path, words: str, message: str) -> None:
    places = [f"--dataset={folder}/coco", f"--detector={folder}/detector", f"--out={tmp_path}/out"]
    with pytest.raises(MaskxError, match=message):
        tyro.cli(masks_command, args=[*places, "--preset=coco_r50", f"--pretrained={folder}/coco.pth", *words.split()])
