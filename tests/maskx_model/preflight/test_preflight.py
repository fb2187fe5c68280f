"""What the first step of a pipeline checks: everything, at once, before anything costs."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskx_model.configure.choose import choose
from maskx_model.launch.machines import Machines
from maskx_model.preflight.configuration import resolve
from maskx_model.preflight.findings import Findings
from maskx_model.preflight.preflight import preflight
from maskx_model.preflight.request import Request
from maskx_model.run_config import RunConfig
from tests.maskx_model.preflight.requested import READS_COCO, Requested, problems


def test_what_is_wrong_in_five_ways_is_told_in_five_lines(requested: Requested, tmp_path: Path) -> None:
    request = requested(
        overrides=("stage1.stpes=3",), seed=-7, mask_classes="vox", registered_name="a/b", tracking_uri=""
    )
    found = problems(request)
    assert len(found) == 5
    for part in ("do you mean stage1.steps", "seed -7", "mask classes 'vox'", "name 'a/b'", "tracking_uri: is empty"):
        assert any(part in line for line in found), part
    assert list((tmp_path / "root").iterdir()) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"preset": "huge"}, "preset 'huge' does not exist"),
        ({"config": "nowhere.yaml"}, "nowhere.yaml"),
        ({"overrides": ("mask.kind=class_specific",)}, "the pipeline trains kind transfer, without a file of word vec"),
        ({"overrides": ("stage1.steps",)}, "write FIELD=VALUE"),
        ({"overrides": ("mask_classes=vox",)}, "mask classes 'vox': neither voc"),
        ({"mask_classes": "random:20"}, "write random:N:seed"),
        ({"sources": ("coco=yolo:here",)}, "yolo"),
        ({"seed": -2}, "seed -2: a number from 0 is needed; -1 is the configuration's"),
        ({"max_rejected": 2.0}, "max_rejected 2.0"),
        ({"exif": "upright"}, "exif 'upright': is none of auto, apply, ignore"),
        ({"classes": -3}, "classes -3"),
        ({"registered_name": "team/maskx"}, "name 'team/maskx': use letters"),
        ({"preset": "coco_r50", "overrides": ("detector.weights=none",)}, "no sources: preset coco_r50 brings no data"),
        ({"weights": "resnet.pth"}, "preset toy has a small backbone"),
        ({"machines": Machines(count="two")}, "accelerator_count 'two'"),
        ({"machines": Machines(nodes="0")}, "nodes '0': write a number as text, from"),
        ({"machines": Machines(count="3")}, "3 ranks cannot share stage1.images_per_batch"),
        ({"sizes": {"evaluate_memory": "32GB"}}, "evaluate_memory '32GB': write a size as Kubernetes does"),
        ({"machines": Machines(node_selector={"spot": True})}, "gpu_node_selector spot: True: labels are text"),  # type: ignore[dict-item]
        ({"machines": Machines(tolerations=({"key": "gpu", "effect": "No"},))}, "effect is one of NoSchedule"),
    ],
)
def test_each_mistake_is_told(requested: Requested, change: dict[str, object], message: str) -> None:
    assert any(message in line for line in problems(requested(**change)))


def test_what_is_wrong_with_pods_hides_nothing_else(requested: Requested) -> None:
    machines = Machines(count="3", tolerations=({"effect": "NoSchedule"},))
    sizes = {"prepare_cpu": "many", "prepare_memory": "16", "evaluate_cpu": "8"}
    found = problems(requested(machines=machines, sizes=sizes, registered_name="a b"))
    assert len(found) == 5
    for part in ("prepare_cpu", "prepare_memory", "gpu_tolerations", "3 ranks cannot share", "name 'a b'"):
        assert any(part in line for line in found), part


def test_every_wrong_override_has_a_line(requested: Requested) -> None:
    found = problems(requested(overrides=("stage1.stpes=3", "seed=none", "stage2.steps=200", "nothing=1")))
    assert len(found) == 3


def test_values_that_only_go_together_are_no_mistake(requested: Requested) -> None:
    changes = ("detector.backbone=resnet50", "detector.anchor_sizes=32,64,128,256,512")
    findings = Findings()
    run = resolve(requested(overrides=changes), findings)
    assert findings.problems == []
    assert run is not None
    assert run.detector.backbone == "resnet50"


def test_the_configuration_of_all_parameters_is_written_for_the_next_steps(requested: Requested, coco: str) -> None:
    request = requested(
        sources=(coco,),
        classes=0,
        max_rejected=0.5,
        seed=7,
        mask_classes="coco",
        overrides=(*READS_COCO, "stage1.steps=9"),
    )
    plan = preflight(request)
    run = choose(config=plan.config)
    assert plan.sources == request.sources
    assert (run.name, run.data.classes, run.data.max_rejected, run.seed) == ("toy", None, 0.5, 7)
    assert (run.mask_classes, run.stage1.steps) == ("coco", 9)
    assert preflight(replace(request, config=plan.config, preset="")).config == plan.config
    assert choose(config=plan.config) == run
    assert "| source coco | 3 files, 0.0 GB |" in plan.markdown
    assert {path.name for path in Path(request.root).iterdir()} == {"config.yaml", "runs"}


def test_runs_that_write_to_one_root_have_a_configuration_each(requested: Requested) -> None:
    small = ("data.toy_images=20", "data.toy_val_images=5")
    asked = {steps: requested(overrides=(*small, f"stage2.steps={steps}"), run_id=f"run-{steps}") for steps in (10, 20)}
    plans = {steps: preflight(request) for steps, request in asked.items()}
    assert {steps: choose(config=plan.config).stage2.steps for steps, plan in plans.items()} == {10: 10, 20: 20}
    assert choose(config=f"{asked[10].root}/config.yaml").stage2.steps == 20


@given(seed=st.integers(0, 2**40), steps=st.integers(1, 10**7), rejected=st.floats(0, 1))
def test_parameters_reach_the_configuration_as_they_are(seed: int, steps: int, rejected: float) -> None:
    request = Request(
        root="r", tracking_uri="t", preset="toy", seed=seed, max_rejected=rejected, overrides=(f"stage1.steps={steps}",)
    )
    run = resolve(request, Findings())
    assert isinstance(run, RunConfig)
    assert (run.seed, run.stage1.steps, run.data.max_rejected) == (seed, steps, rejected)


def test_a_stage_that_reads_a_source_which_is_not_given_is_told(requested: Requested, coco: str) -> None:
    (line,) = problems(requested(sources=(coco,), overrides=()))
    assert line.startswith("stage1_source: is vg, and the sources given are coco; give that source too, choose")
    two = (coco, coco.replace("coco=", "mine=", 1))
    found = problems(requested(preset="own_r50", sources=two, overrides=("detector.weights=none",)))
    assert [each.partition(",")[0] for each in found] == ["stage1_source: is only", "stage2_source: is only"]


def test_without_sources_the_toy_world_is_written_when_all_else_is_right(requested: Requested) -> None:
    small = ("data.toy_images=20", "data.toy_val_images=5")
    plan = preflight(requested(overrides=small))
    assert [source.partition(":")[0] for source in plan.sources] == ["coco=coco", "vg=vg"]
    assert problems(requested(overrides=small, root=f"{requested().root}/other", registered_name="a b"))
    assert not (Path(requested().root) / "other" / "original").exists()


def test_a_root_that_cannot_be_written_is_told(requested: Requested, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (line,) = problems(requested(root=f"{tmp_path}/file/root"))
    assert line.startswith(f"root {tmp_path}/file/root: cannot be written to")


def test_too_little_space_is_told(requested: Requested, tmp_path: Path) -> None:
    folder = tmp_path / "large"
    folder.mkdir()
    with (folder / "0.jpg").open("wb") as file:
        file.truncate(1 << 42)  # a hole: no disk has these four terabytes
    (tmp_path / "a.json").write_text("{}")
    (line,) = problems(requested(sources=(f"coco=coco:{tmp_path}/a.json,{folder}",)))
    assert "and the dataset takes about 4398.0 GB" in line


def test_weights_that_are_in_the_cache_or_in_a_file_will_do(
    requested: Requested, coco: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    cached = tmp_path / "torch" / "hub" / "checkpoints" / "resnet50-0676ba61.pth"
    cached.parent.mkdir(parents=True)
    cached.touch()
    request = requested(preset="coco_r50", sources=(coco,))
    assert "IMAGENET1K_V1, downloaded already" in preflight(request).markdown
    cached.rename(tmp_path / "weights.pth")
    plan = preflight(replace(request, weights=f"{tmp_path}/weights.pth", root=f"{request.root}/other"))
    assert choose(config=plan.config).detector.weights == f"{tmp_path}/weights.pth"


def test_weights_that_cannot_be_downloaded_are_told(
    requested: Requested, coco: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    for name in [name for name in os.environ if name.lower() in ("no_proxy", "https_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    (line,) = problems(requested(preset="coco_r50", sources=(coco,)))
    assert "does not answer" in line
    assert "name the file's URI in the parameter weights" in line


def test_the_cost_is_told_with_the_source_of_the_figure(requested: Requested, coco: str, tmp_path: Path) -> None:
    (tmp_path / "weights.pth").touch()
    plan = preflight(requested(preset="coco_r50", sources=(coco,), weights=f"{tmp_path}/weights.pth"))
    assert "- stage 1: 1,440,000 images, 7.1 GPU-hours" in plan.markdown
    assert "21.4 GPU-hours at 56 images/s (one H200" in plan.markdown
