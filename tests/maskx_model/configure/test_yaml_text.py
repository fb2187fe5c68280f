"""A configuration as YAML: it reads back, for us and for others, and says what every field means."""

from dataclasses import replace

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from data_prep.storage.errors import ConfigError
from maskx_model.configure.changes import Change, changed
from maskx_model.configure.fields import all_fields, leaves
from maskx_model.configure.yaml_text import read_changes, to_yaml
from maskx_model.presets import PRESETS, get_preset

RATES = st.lists(st.floats(0, 10, allow_nan=False), min_size=1, max_size=3).map(tuple)
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_reads_back(name: str) -> None:
    preset = get_preset(name)
    assert changed(get_preset("toy"), read_changes(to_yaml(preset).encode(), "a")) == preset


@given(rates=RATES, decay=st.floats(0, 1), clip=st.none() | st.floats(1e-6, 1e6), classes=WORDS, source=WORDS)
def test_any_configuration_reads_back(
    rates: tuple[float, ...], decay: float, clip: float | None, classes: str, source: str
) -> None:
    toy = get_preset("toy")
    stage2 = replace(toy.stage2, learning_rates=rates, weight_decay=decay, clip_norm=clip)
    run = replace(toy, stage2=stage2, mask_classes=classes, stage1_source=source)
    assert changed(toy, read_changes(to_yaml(run).encode(), "a")) == run


@given(
    name=st.sampled_from(["own_r50", "toy"]),
    steps=st.none() | st.integers(1, 20_000),
    passes=st.none() | st.sampled_from([0.5, 12, 24]),
    steps_in_file=st.booleans(),
)
def test_any_steps_and_passes_read_back(
    name: str, steps: int | None, passes: float | None, steps_in_file: bool
) -> None:
    """As a file and `--set` give them, one after the other."""
    run, of = get_preset(name), {"stage1.steps": steps, "passes.stage1": passes}
    for path in of if steps_in_file else reversed(of):
        if of[path] is not None:
            run = changed(run, [Change(path, str(of[path]), path)])
    assert changed(get_preset("toy"), read_changes(to_yaml(run).encode(), "a")) == run


@given(text=st.text() | st.binary().map(lambda raw: raw.decode("latin-1")))
def test_any_text_is_read_or_refused_in_a_sentence(text: str) -> None:
    try:
        changed(get_preset("toy"), read_changes(text.encode("utf-8", "replace"), "a"))
    except ConfigError as error:
        assert str(error).startswith("a")


def test_other_readers_of_yaml_see_the_same() -> None:
    tree = yaml.safe_load(to_yaml(get_preset("toy")))
    assert tree["stage1"]["steps"] == 600 and tree["stage1"]["learning_rates"] == [0.003]
    assert tree["detector"]["weights"] is None and tree["stage2"]["cache_rois"] is True
    assert tree["mask"]["mlp"] == "none" and tree["mask_classes"] == "toy"


def test_every_field_has_its_sentence_above_it() -> None:
    lines = to_yaml(get_preset("coco_r50")).splitlines()
    fields = [number for number, line in enumerate(lines) if line and not line.lstrip().startswith("#")]
    assert len(fields) == len(all_fields()) > len(leaves(get_preset("toy"))) > 60
    assert all(lines[number - 1].lstrip().startswith("# ") for number in fields)
    assert all(field.sentence.endswith((".", ")")) for field in all_fields().values())


def test_a_mark_of_byte_order_and_json_are_read() -> None:
    assert [change.path for change in read_changes(b"\xef\xbb\xbfname: toy\n", "a")] == ["name"]
    (change,) = read_changes(b'{"stage1": {"learning_rates": [0.1]}}', "a")
    assert (change.path, change.text) == ("stage1.learning_rates", ["0.1"])
