"""The model card: what it says of a model, its data and its numbers."""

import shutil
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from maskx_model.registry.card import DESCRIPTION, model_card, shortened
from maskx_model.registry.run_contents import gather
from tests.maskx_model.registry.evaluations import estimated, measured


@pytest.fixture(scope="module")
def card(world: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    estimate = estimated(world / "one", tmp_path_factory.mktemp("estimate"), 21.0, margin=3.0)
    evaluation, stages = measured(world, "one", 20.0), (f"{world}/detector",)
    return model_card(f"{world}/one", gather(f"{world}/one", evaluation, stages, f"{world}/data", None, estimate))


def test_it_tells_the_accuracy_on_a_and_b_beside_the_baseline_and_the_estimate(card: str) -> None:
    assert "| transfer | 30.0 | 20.0 | 25.0 |" in card
    assert "| class_agnostic | 1.0 | 1.0 | 1.0 |" in card
    assert "Estimate of mask AP on B, by leaving classes of A out (2 folds): 21.0 ± 2.5" in card
    assert "on the classes left out 18.0, +3.0 ± 1.0 against the class-agnostic head." in card


def test_it_names_the_classes_of_a_and_b(card: str) -> None:
    assert "objects of 3 classes" in card and "1 of the classes had masks in training (A), 2 had boxes only (B)" in card
    assert "\nA: cup\n\nB: chair, rare\n" in card


def test_it_tells_the_data_by_source_with_the_licenses_of_its_index(card: str, world: Path) -> None:
    assert "| coco | coco | 4 | " in card
    assert "| vg | vg | 0 | 0 | 0 |" in card
    assert "- coco: Attribution &lt;License&gt; (4)" in card


def test_it_tells_use_and_limits(card: str) -> None:
    assert "## Intended use" in card and "## Limits" in card and "decisions about people" in card
    assert "- Mask AP is a mean over the 2 classes of 3 that the images show with masks." in card
    assert "never compared with annotated ones" not in card


def test_where_masks_of_b_were_not_measured_it_says_so(world: Path) -> None:
    contents = gather(f"{world}/one", measured(world, "one", None), (), None, None)
    card = model_card(f"{world}/one", contents)
    assert "Masks of B were never compared with annotated ones" in card
    assert "The dataset was not named when the model was registered." in card


def test_classes_without_masks_to_measure_by_are_neither_counted_nor_weak(world: Path) -> None:
    contents = gather(f"{world}/one", measured(world, "one", None), (), None, None)
    cup, chair = contents.evaluation.per_class
    per_class = (
        msgspec.structs.replace(cup, ap={"transfer": 0.4}),
        msgspec.structs.replace(chair, ap={"transfer": None}),
    )
    evaluation = msgspec.structs.replace(contents.evaluation, per_class=per_class)
    card = model_card(f"{world}/one", replace(contents, evaluation=evaluation))
    assert "- Mask AP is a mean over the 1 classes of 3 that the images show with masks." in card
    assert "- Objects of 1 more have no masks there to measure by: chair\n" in card
    assert "- Mask AP is below 1 on 1 of them: cup\n" in card
    unmasked = [msgspec.structs.replace(each, ap={}) for each in per_class]
    evaluation = msgspec.structs.replace(evaluation, per_class=tuple(unmasked))
    card = model_card(f"{world}/one", replace(contents, evaluation=evaluation))
    assert "- No object in the images has a mask: boxes alone were measured.\n" in card
    assert "Mask AP is a mean" not in card and "have no masks there" not in card


def test_a_model_whose_classes_all_had_masks_has_no_b_to_look_at(world: Path, tmp_path: Path) -> None:
    model = shutil.copytree(world / "one", tmp_path / "one")
    contents = gather(f"{world}/one", measured(world, "one", None), (), None, None)
    config = msgspec.json.decode((model / "config.json").read_bytes())
    (model / "config.json").write_bytes(msgspec.json.encode(config | {"mask_classes": [0, 1, 2]}))
    assert "Masks of B" not in model_card(str(model), contents)


def test_a_long_card_is_cut_at_a_line_for_the_description() -> None:
    card = "".join(f"line {number}\n" for number in range(2000))
    short = shortened(card)
    assert len(short) <= DESCRIPTION
    assert short.endswith("\n\n… the whole card is model_card.md among the artifacts.\n")
    assert card.startswith(short.partition("\n\n…")[0])
    assert shortened("short") == "short"
