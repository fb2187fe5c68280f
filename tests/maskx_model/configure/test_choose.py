"""A preset, changed by a file and by options: what comes out, and what is refused."""

import re
from pathlib import Path

import pytest

from data_prep.storage.errors import ConfigError, DataError
from maskx_model.configure.choose import choose, choose_named, differences
from maskx_model.configure.yaml_text import to_yaml
from maskx_model.presets import get_preset


def file_of(folder: Path, text: str) -> str:
    path = folder / "run.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_options_go_before_the_file_and_the_file_before_the_preset(tmp_path: Path) -> None:
    file = file_of(tmp_path, "name: coco_r50\nstage1: {images_per_batch: 4, steps: 300}\nseed: 7\n")
    run = choose(config=file, overrides=["stage1.images_per_batch=2", "detector.min_size = 640"])
    assert (run.stage1.images_per_batch, run.stage1.steps, run.seed) == (2, 300, 7)
    assert (run.detector.min_size, run.detector.max_size) == (640, 1333)
    assert run.stage2 == get_preset("coco_r50").stage2


def test_without_changes_a_preset_is_itself() -> None:
    assert choose("toy") == choose(default="toy") == choose_named("toy") == get_preset("toy")


def test_milestones_move_with_the_steps_unless_they_are_set_too() -> None:
    moved = choose("coco_r50", overrides=["stage1.steps=9000"])
    assert (moved.stage1.milestones, moved.stage1.warmup_steps) == ((6000, 8000), 500)
    short = choose("coco_r50", overrides=["stage1.steps=900"])
    assert (short.stage1.milestones, short.stage1.warmup_steps) == ((600, 800), 90)
    first = choose("coco_r50", overrides=["stage1.steps=1"])
    assert (first.stage1.milestones, first.stage1.warmup_steps) == ((), 0)
    set_too = choose("coco_r50", overrides=["stage1.steps=9000", "stage1.milestones=10, 20", "stage1.warmup_steps=7"])
    assert (set_too.stage1.milestones, set_too.stage1.warmup_steps) == ((10, 20), 7)


def test_steps_edited_in_a_printed_file_replace_its_passes(tmp_path: Path) -> None:
    printed = to_yaml(get_preset("own_r50"))
    assert choose(config=file_of(tmp_path, printed)) == get_preset("own_r50")
    steps = printed.replace("steps: 9000", "steps: 2000", 1).replace("[6000, 8000]", "[1000, 1500]", 1)
    run = choose(config=file_of(tmp_path, steps))
    assert (run.stage1.steps, run.stage1.milestones, run.passes.stage1) == (2000, (1000, 1500), None)
    assert (run.passes.stage2, run.passes.joint) == (12, 12)
    assert choose(config=file_of(tmp_path, to_yaml(run))) == run
    passes = choose(config=file_of(tmp_path, printed.replace("stage1: 12", "stage1: 3")))
    assert (passes.stage1.steps, passes.passes.stage1) == (9000, 3)
    with pytest.raises(ConfigError, match=r"run.yaml, line \d+: stage1.steps, and .*, line \d+: passes.stage1, which"):
        choose(config=file_of(tmp_path, steps.replace("stage1: 12", "stage1: 3")))


def test_steps_and_passes_together_are_refused_and_the_later_of_two_places_counts(tmp_path: Path) -> None:
    both = ["passes.stage1=3", "stage1.steps=500"]
    with pytest.raises(ConfigError, match=r"--set stage1.steps=500: .* and --set passes.stage1=3: passes.stage1, "):
        choose("own_r50", overrides=both)
    assert choose("own_r50", overrides=["stage1.steps=9000"]).passes.stage1 is None
    of_passes = file_of(tmp_path, "name: own_r50\npasses: {stage1: 3}\n")
    assert choose(config=of_passes, overrides=["stage1.steps=500"]).passes.stage1 is None
    of_steps = file_of(tmp_path, "name: own_r50\nstage1: {steps: 500}\n")
    for passes in (3, 12, 24):
        run = choose(config=of_steps, overrides=[f"passes.stage1={passes}"])
        assert (run.stage1.steps, run.stage1.milestones, run.passes.stage1) == (9000, (5994, 7992), passes)
        assert choose(config=file_of(tmp_path, to_yaml(run))) == run


def test_milestones_of_fewer_steps_in_a_printed_file_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    printed = to_yaml(get_preset("own_r50"))
    choose(config=file_of(tmp_path, printed))
    assert caplog.text == ""
    choose(config=file_of(tmp_path, printed.replace("steps: 9000", "steps: 40000", 1)))
    told = r"run.yaml, line \d+: stage1.milestones are those of 9000 steps, and training has 40000; leave milestones"
    assert re.search(told, caplog.text)
    with pytest.raises(ConfigError, match=r"holds 6000, but training ends at step 3000; .* leave milestones out"):
        choose(config=file_of(tmp_path, printed.replace("steps: 9000", "steps: 3000", 1)))


@pytest.mark.parametrize(
    ("override", "read"),
    [
        ("stage2.learning_rates=0.1", {"stage2.learning_rates": (0.1,)}),
        ("stage2.learning_rates=[1e-2, 1e-3]", {"stage2.learning_rates": (0.01, 0.001)}),
        ("stage1.milestones=[]", {"stage1.milestones": ()}),
        ("stage1.flip=no", {"stage1.flip": False}),
        ("stage1.weight_decay=1e-5", {"stage1.weight_decay": 1e-5}),
        ("stage1.clip_norm=10", {"stage1.clip_norm": 10.0}),
        ("detector.weights=none", {"detector.weights": None}),
        ("detector.weights=/tmp/a=b.pth", {"detector.weights": "/tmp/a=b.pth"}),
        ("mask.hourglass_layers=20", {"mask.hourglass_layers": 20}),
        ("mask_classes=random:20:1", {"mask_classes": "random:20:1"}),
        ("seed=1e3", {"seed": 1000}),
        ("seed=9007199254740993", {"seed": 2**53 + 1}),
    ],
)
def test_a_value_is_read_by_its_field_s_type(override: str, read: dict[str, object]) -> None:
    changed = differences(get_preset("coco_r50"), choose("coco_r50", overrides=[override]))
    assert {path: new for path, (_, new) in changed.items()} == read


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("stage1.stpes=3", r"no field 'stage1.stpes'; do you mean stage1.steps"),
        ("min_size=640", r"no field 'min_size'; do you mean detector.min_size\?"),
        ("colour=red", r"no field 'colour'; `maskx config show PRESET` lists all"),
        ("stage1=3", r"stage1 is a group; set a field of it: stage1.steps, "),
        ("detector.backbone=resnet34", r"is one of slim, resnet50, resnet101, not 'resnet34' \(The network"),
        ("stage1.steps=ten", r"stage1.steps is a whole number, not 'ten' \(Updates of the weights"),
        ("stage1.steps=1.5", r"stage1.steps is a whole number, not '1.5'"),
        ("stage1.steps=[1, 2]", r"stage1.steps is a whole number, not '\[1, 2\]'"),
        ("stage1.weight_decay=nan", r"stage1.weight_decay is a number, not 'nan'"),
        ("stage1.flip=maybe", r"stage1.flip is true or false, not 'maybe'"),
        ("stage1.clip_norm=x", r"stage1.clip_norm is a number, or null, not 'x'"),
        ("stage2.learning_rates=1,x", r"stage2.learning_rates is a list of numbers, not '1,x'"),
        ("stage1.steps=0", r"--set stage1.steps=0: stage1.steps: at least one is needed, got 0"),
        ("joint.learning_rates=[0.01, 0.02]", r"joint.learning_rates: only stage 2 tries several, give one, got"),
        ("stage1.momentum=2", r"stage1.momentum: 0 to 1 is allowed \(it is a fraction, from 0 to 1\), got 2.0"),
        ("stage1.images_per_batch=0", r"images_per_batch: 1 or more is allowed \(a step needs an image\), got 0"),
        ("stage1.clip_norm=0", r"clip_norm: a norm above 0 is allowed, as 0 would stop training, got 0"),
        ("detector.min_size=2000", r"max_size: the longer side is limited to 1333 pixels, less than .* min_size, 2000"),
        ("stage1.milestones=90000", r"milestones holds 90000, but training ends at step 90000"),
        ("mask.transfer_input=embedding", r"'embedding' with embedding_dim None: word vectors and their width go"),
        ("name=toy", r"name is the preset that a run begins with; choose it with --preset"),
        ("seed", r"--set seed: write FIELD=VALUE"),
        ("=3", r"--set =3: write FIELD=VALUE"),
    ],
)
def test_a_wrong_change_is_answered_with_what_is_right(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        choose("coco_r50", overrides=[override])
    assert str(error.value).startswith(f"--set {override}: ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "seed: 3\n",
            r"run.yaml: names no preset to begin with; add a line such as `name: coco_r50`, or pass --preset",
        ),
        ("", "names no preset to begin with"),
        ("name: coco\n", r"run.yaml, line 1: name 'coco' is no preset; it is one of toy, real_sample, coco_r50"),
        (
            "name: toy\nstage1:\n  stpes: 3\n",
            r"run.yaml, line 3: there is no field 'stage1.stpes'; do you mean stage1.st",
        ),
        ("name: toy\nstage1:\n  steps: x\n", r"run.yaml, line 3: stage1.steps is a whole number, not 'x'"),
        ("name: toy\nstage1:\n  steps: 0\n", r"run.yaml, line 3: stage1.steps: at least one is needed"),
        ("name: toy\nmodel: {kind: a}\n", r"run.yaml, line 2: there is no field 'model'"),
        ("name: toy\nstage1: 4\n", r"run.yaml, line 2: stage1 is a group"),
        ("name: toy\nseed: 1\nseed: 2\n", r"run.yaml, line 3: seed was set before \(.*run.yaml, line 2\); keep one"),
        ("name: toy\nseed: [[1]]\n", r"run.yaml, line 2: a list of plain values is needed"),
        ("name: toy\n[1, 2]: 1\n", r"run.yaml, line 2: a field's name is needed before the colon"),
        ("- a\n- b\n", "run.yaml: not a mapping of fields"),
        ("name: toy\n\tseed: 1\n", r"run.yaml, line 2: not YAML \(found character '\\t'"),
        ("a: 1\n---\nb: 1\n", r"run.yaml, line 2: not YAML"),
    ],
)
def test_a_wrong_file_is_answered_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        choose(config=file_of(tmp_path, text), default="toy")


def test_a_file_that_is_no_text_or_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_bytes(b"\xff\xfea")
    with pytest.raises(ConfigError, match="not text in UTF-8"):
        choose(config=f"{tmp_path}/run.yaml")
    with pytest.raises(DataError, match=r"nowhere\.yaml"):
        choose(config=f"{tmp_path}/nowhere.yaml")


def test_two_presets_are_one_too_many(tmp_path: Path) -> None:
    file = file_of(tmp_path, "name: toy\n")
    assert choose("toy", file) == get_preset("toy")
    with pytest.raises(ConfigError, match="begins with preset toy, --preset names coco_r50; keep one"):
        choose("coco_r50", file)
    assert choose("coco_r50", file_of(tmp_path, "seed: 4\n")).seed == 4
    with pytest.raises(ConfigError, match="a preset or a configuration file is needed; presets: toy"):
        choose()


def test_what_is_neither_preset_nor_file_is_answered_with_near_presets(tmp_path: Path) -> None:
    assert choose_named(file_of(tmp_path, "name: toy\nseed: 4\n"), ["seed=5"]).seed == 5
    with pytest.raises(ConfigError, match=r"coco_r51: neither a preset nor a file; do you mean coco_r50\?"):
        choose_named("coco_r51")
    with pytest.raises(ConfigError, match="neither a preset nor a file; presets: toy, "):
        choose_named("x")
