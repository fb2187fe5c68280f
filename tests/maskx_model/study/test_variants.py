"""Variants by name, as changes of a preset's mask branch."""

from dataclasses import replace

import pytest

from data_prep.storage.errors import ConfigError
from maskx_model.presets import get_preset
from maskx_model.study.table_rows import METHODS
from maskx_model.study.table_runs import mask_config
from maskx_model.study.variants import BASELINE, CHANGES, DEFAULT, OWN, variant, variants_of


def test_all_variants_of_every_preset_are_configurations() -> None:
    for preset in ("toy", "coco_r50"):
        assert len({(v.mask, v.rois) for v in variants_of(get_preset(preset), tuple(CHANGES))}) >= len(DEFAULT) - 1


def test_a_variant_changes_what_its_name_says_and_nothing_else() -> None:
    toy = get_preset("toy")
    assert variant("cls", toy).mask == toy.mask
    assert variant("3-layer", toy).mask.transfer_layers == 3
    assert variant("3-layer", toy).mask.transfer_input == toy.mask.transfer_input
    assert toy.mask.transfer_weight_decay and variant("plain-decay", toy).mask.transfer_weight_decay is None
    assert variant("cls", toy).rois == "proposals"
    assert variant("gt-rois", toy).rois == "gt"
    assert variant("mlp-light", get_preset("coco_r50")).mask.mlp == "light"


def test_the_baseline_always_takes_part_and_nothing_is_trained_twice() -> None:
    assert [v.name for v in variants_of(get_preset("toy"), ["cls", "cls", "unit"])] == [BASELINE, "cls", "unit"]
    coco = variants_of(get_preset("coco_r50"), ["cls+box", "plain-decay"])
    assert [v.name for v in coco] == [BASELINE, "cls+box"]


def test_another_input_than_word_vectors_takes_none() -> None:
    toy = get_preset("toy")
    of_words = replace(toy, mask=replace(toy.mask, transfer_input="embedding", embedding_dim=50))
    assert variant("cls", of_words).mask == toy.mask
    assert mask_config(of_words, METHODS["randn"], None) == mask_config(toy, METHODS["randn"], None)


def test_an_unknown_variant_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"variant 'cls2' does not exist; choose among class_agnostic, .*cls\+box"):
        variants_of(get_preset("toy"), ["cls2"])


def test_the_presets_own_mask_branch_is_a_variant_with_its_mlp() -> None:
    coco = get_preset("coco_r50")
    assert (variant(OWN, coco).mask, variant(OWN, coco).rois) == (coco.mask, coco.stage2.rois)
    assert [v.name for v in variants_of(coco, [OWN])] == [BASELINE, OWN]
