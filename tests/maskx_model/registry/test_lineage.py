"""From a model back to the original files' hashes and the code: of a folder, and of a registered version."""

import json
from pathlib import Path
from typing import Any

import pytest
import tyro
from hypothesis import example, given
from hypothesis import strategies as st

from data_prep.format.reader import Dataset
from data_prep.storage.errors import CheckpointError, ConfigError, DataError
from data_prep.storage.storage import sha256
from maskx_model.artifacts.model_folder import model_hash
from maskx_model.cli.lineage import lineage as command
from maskx_model.registry.lineage import Node, as_text, read_lineage, trace
from maskx_model.registry.lineage_of_model import lineage
from maskx_model.registry.registry import register
from maskx_model.training.stages import train_detector, train_masks
from tests.maskx_model.tiny_presets import tiny_cached


@pytest.fixture(scope="module")
def trained(toy_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`detector` and `masks`, of two steps each, on the tiny toy world."""
    folder = tmp_path_factory.mktemp("trained")
    train_detector(toy_dataset.uri, f"{folder}/detector", tiny_cached(2), device="cpu")
    train_masks(toy_dataset.uri, f"{folder}/detector", f"{folder}/masks", tiny_cached(2), device="cpu")
    return folder


def test_the_chain_leads_to_the_files_and_the_code(trained: Path, toy_dataset: Dataset, toy_folder: Path) -> None:
    chain = trace(f"{trained}/masks", (f"{trained}/detector",), toy_dataset.uri)
    assert (chain.kind, chain.sha256) == ("model", model_hash(f"{trained}/masks"))
    assert {"maskx", "torch", "torchvision"} <= chain.code.keys()
    assert {"seed", "settings", "mask_classes"} <= chain.made_with.keys()
    detector, dataset = chain.made_from
    assert (detector.kind, detector.sha256) == ("detector", model_hash(f"{trained}/detector"))
    assert detector.made_from == (dataset,)
    assert dataset.sha256 == sha256(f"{toy_dataset.uri}/manifest.json")
    files = {file.name.split()[0]: file.sha256 for source in dataset.made_from for file in source.made_from}
    for folder in ("coco", "visual_genome"):
        for path in (toy_folder / "original" / folder).rglob("*.json"):
            assert files[str(path.relative_to(toy_folder / "original" / folder))] == sha256(path)
    assert not any("unknown" in line for line in as_text(chain))


def test_what_was_not_named_ends_the_chain_and_says_so(trained: Path) -> None:
    chain = trace(f"{trained}/masks")
    assert [(each.kind, each.unknown) for each in chain.made_from] == [
        ("detector", "its folder was not named (--stages)"),
        ("dataset", "it was not named (--dataset)"),
    ]
    text = "\n".join(as_text(chain))
    assert f"  detector ?  sha256 {str(chain.made_from[0].sha256)[:12]}\n    unknown: its folder was not named" in text


def test_a_registered_version_tells_its_own_chain(
    world: Path, uri: str, client: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    stages = (f"{world}/detector",)
    register(f"{world}/one", f"{world}/evaluation-one", "traced", uri, stages, f"{world}/data")
    chain = lineage("models:/traced/1", tracking_uri=uri)
    assert chain == trace(f"{world}/one", stages, f"{world}/data")
    command("models:/traced/1", json=True, tracking_uri=uri)
    assert json.loads(capsys.readouterr().out)["sha256"] == model_hash(f"{world}/one")
    tyro.cli(command, args=["models:/traced/1", "--tracking-uri", uri])
    assert capsys.readouterr().out.startswith(f"model one  sha256 {model_hash(f'{world}/one')[:12]}\n")


def test_a_version_that_was_registered_without_one_is_named(uri: str, client: Any) -> None:
    run = client.create_run(client.create_experiment("old")).info.run_id
    client.create_registered_model("old")
    client.create_model_version("old", "file:///nowhere", run)
    with pytest.raises(DataError, match=r"models:/old/1: it was registered without its lineage.*--stages"):
        lineage("models:/old/1", tracking_uri=uri)


def test_what_is_no_model_is_refused(uri: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no manifest\.json, so no finished model"):
        lineage(str(tmp_path))
    with pytest.raises(ConfigError, match="write models:/NAME/VERSION"):
        lineage("models:/one/two/three", tracking_uri=uri)
    with pytest.raises(ConfigError, match="'nobody' has no version '1'"):
        lineage("models:/nobody/1", tracking_uri=uri)


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
@example(b'{"kind":"\xe1"}')
def test_anything_else_than_a_lineage_is_refused(data: bytes) -> None:
    with pytest.raises(DataError, match=r"lineage\.json: not a lineage .*register the model again"):
        read_lineage(data, "lineage.json")


def test_a_deep_nest_is_refused(tmp_path: Path) -> None:
    nested = b'{"kind":"a","name":"b","made_from":[' * 5000
    with pytest.raises(DataError, match="not a lineage"):
        read_lineage(nested, "lineage.json")


def test_lines_are_indented_by_their_place_in_the_chain() -> None:
    file = Node("file", "a.json (5 bytes)", "ab" * 32)
    chain = Node("dataset", "d", "cd" * 32, {"maskx": "1"}, {"seed": "0"}, (Node("source", "coco", made_from=(file,)),))
    assert list(as_text(chain)) == [
        "dataset d  sha256 cdcdcdcdcdcd",
        "  code: maskx 1",
        "  with: seed 0",
        "  source coco",
        "    file a.json (5 bytes)  sha256 abababababab",
    ]
