"""Every variant of the mask branch, from the command line's words to a model that is trained, saved and used again."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import tyro

from data_prep.format.reader import Dataset
from data_prep.storage.errors import ConfigError
from maskx_model.artifacts.model_folder import load_model, read_model_manifest
from maskx_model.cli.model_options import MaskOptions
from maskx_model.config import MaskConfig
from maskx_model.model.maskx_rcnn import MaskXRCNN
from maskx_model.results.predict import predict
from maskx_model.training.stages import train_detector, train_masks
from tests.maskx_model.tiny_presets import MASK, tiny
from tests.processes import REPOSITORY

WIDTH = 5


def options_of(words: str) -> MaskOptions:
    """What the command line makes of those words."""
    return tyro.cli(MaskOptions, args=words.split())


@pytest.fixture(scope="module")
def folder(toy_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`detector`, of one step, and `vectors.txt`, a word's vector for each class of the toy world."""
    folder = tmp_path_factory.mktemp("mask_variants")
    train_detector(toy_dataset.uri, f"{folder}/detector", tiny(1))
    numbers = torch.randn(len(toy_dataset.vocabulary), WIDTH, generator=torch.Generator().manual_seed(0)).tolist()
    lines = (
        f"{c.name} {' '.join(map(repr, row))}" for c, row in zip(toy_dataset.vocabulary.classes, numbers, strict=True)
    )
    (folder / "vectors.txt").write_text(f"{len(numbers)} {WIDTH}\n" + "\n".join(lines) + "\n")
    return folder


def train(folder: Path, dataset: Dataset, out: Path, words: str) -> MaskXRCNN:
    """Two steps with those words, and the model as it is read again."""
    options = options_of(words.replace("FILE", f"{folder}/vectors.txt"))
    preset = tiny(2)
    preset = replace(preset, mask=options.mask_config(preset.mask))
    train_masks(dataset.uri, f"{folder}/detector", str(out), preset, kind=options.kind, embedding=options.embedding)
    model = load_model(str(out)).model
    assert isinstance(model, MaskXRCNN) and model.config.mask == preset.mask
    return model


@pytest.mark.parametrize(
    "words",
    [
        "--transfer-input cls",
        "--transfer-input box",
        "--transfer-input cls+box",
        "--transfer-input randn",
        "--transfer-input embedding --embedding FILE",
        "--transfer-layers 1",
        "--activation relu",
        "--transfer-layers 3 --activation relu",
        "--transfer-layers 3",
        "--transfer-scale unit",
        "--transfer-scale standard",
        "--transfer-dropout 0.5",
        "--mlp paper",
        "--mlp light",
        "--kind class_agnostic --mlp paper",
        "--kind class_agnostic --mlp light --head hourglass --channels 8",
        "--kind class_specific --class-bias",
        "--head hourglass --channels 8 --hourglass-layers 20",
    ],
)
def test_a_variant_trains_and_is_read_again(toy_dataset: Dataset, folder: Path, tmp_path: Path, words: str) -> None:
    model = train(folder, toy_dataset, tmp_path, words)
    model.detector.roi_heads.score_thresh = 0.0
    found = predict(model, torch.randint(0, 256, (50, 70, 3), dtype=torch.uint8).numpy())
    assert len(found.masks) == len(found.boxes) > 0


def test_a_model_of_word_vectors_needs_the_file_no_more(toy_dataset: Dataset, folder: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.txt"
    own.write_text((folder / "vectors.txt").read_text())
    first = train(folder, toy_dataset, tmp_path / "out", f"--transfer-input embedding --embedding {own}")
    own.unlink()
    again = load_model(f"{tmp_path}/out").model
    assert isinstance(again, MaskXRCNN)
    assert first.word_vectors is not None and first.word_vectors.shape == (len(toy_dataset.vocabulary) + 1, WIDTH)
    assert torch.equal(again.embeddings(), first.word_vectors) and torch.equal(again.w_seg(), first.w_seg())
    rows = {tuple(row) for row in first.word_vectors[1:].tolist()}
    assert len(rows) == len(toy_dataset.vocabulary) and not first.word_vectors[0].any()


def test_word_vectors_are_never_left_out(toy_dataset: Dataset, folder: Path, tmp_path: Path) -> None:
    preset = replace(tiny(2), mask=replace(MASK, transfer_input="embedding", embedding_dim=WIDTH))
    with pytest.raises(ConfigError, match="transfer_input embedding: needs the file of word vectors"):
        train_masks(toy_dataset.uri, f"{folder}/detector", str(tmp_path), preset)


def test_other_word_vectors_make_another_model(toy_dataset: Dataset, folder: Path, tmp_path: Path) -> None:
    train(folder, toy_dataset, tmp_path, "--transfer-input embedding --embedding FILE")
    assert "embedding" in read_model_manifest(str(tmp_path)).made_from


def test_w_seg_follows_the_word_vectors(toy_dataset: Dataset, folder: Path, tmp_path: Path) -> None:
    model = train(folder, toy_dataset, tmp_path, "--transfer-input embedding --embedding FILE")
    before = model.w_seg()
    assert model.word_vectors is not None
    model.word_vectors.mul_(2)
    assert not torch.equal(model.w_seg(), before)


def test_what_is_not_given_is_the_presets() -> None:
    assert options_of("").mask_config(MASK) == MASK
    assert options_of("--mlp light --channels 9").mask_config(MASK) == replace(MASK, mlp="light", channels=9)


def test_an_hourglass_has_its_authors_channels_unless_others_are_named() -> None:
    assert options_of("--head hourglass").mask_config(MaskConfig()).channels == 64
    assert options_of("--head hourglass --channels 32").mask_config(MaskConfig()).channels == 32


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--transfer-input embedding", "--transfer-input embedding and --embedding FILE go together"),
        ("--embedding vectors.txt", "--transfer-input embedding and --embedding FILE go together"),
        ("--embedding nowhere.txt --transfer-input embedding", "nowhere.txt: no such file of word vectors"),
        (
            "--kind class_agnostic --transfer-layers 3",
            "--transfer-layers: kind class_agnostic has no transfer function",
        ),
        ("--kind class_specific --transfer-dropout 0.1", "--transfer-dropout: kind class_specific has no transfer"),
        ("--class-bias", "--class-bias: kind transfer has no weights of each class"),
        ("--activation relu --transfer-layers 1", "--activation: stands between layers of T"),
        ("--hourglass-layers 20", "--hourglass-layers: goes with --head hourglass"),
        ("--channels 0", "channels: 1 or more are needed, got 0"),
    ],
)
def test_words_that_do_not_go_together_are_refused(words: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        options_of(words).mask_config(MASK)


def test_the_command_says_which_classes_the_file_lacks(toy_dataset: Dataset, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "few.txt").write_text("cat 1 2\n")
    places = [f"--dataset={toy_dataset.uri}", f"--detector={folder}/detector", f"--out={tmp_path}/out"]
    words = ["--preset=toy", "--mask-classes=coco", "--transfer-input=embedding", f"--embedding={tmp_path}/few.txt"]
    command = [sys.executable, "-m", "pipelines.cli", "train", "masks", *places, *words]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"few.txt: no vector for {len(toy_dataset.vocabulary)} of the" in done.stderr
