"""Which version becomes the champion, in a real store: by the gates, by hand, and back again."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import pytest

from data_prep.storage.errors import ConfigError, MaskxError
from maskx_model.presets import get_preset
from maskx_model.registry.mlflow_run import TrackingError
from maskx_model.registry.promotion import make_champion, promote, rollback
from maskx_model.registry.registry import register
from maskx_model.report.evaluate import evaluate
from maskx_model.run_config import GatesConfig, RunConfig
from tests.maskx_model.registry.conftest import NAMES
from tests.maskx_model.registry.evaluations import aliases, estimated, measured
from tests.maskx_model.synthetic import random_world
from tests.maskx_model.synthetic_dataset import write_dataset, write_model
from tests.processes import first_worker_killed


def with_gates(**gates: Any) -> RunConfig:
    return replace(get_preset("toy"), gates=GatesConfig(**gates))


def record(client: Any, name: str, version: str) -> dict[str, Any]:
    """The `gates.json` of a version."""
    run = client.get_model_version(name, version).run_id
    path = mlflow.artifacts.download_artifacts(run_id=run, artifact_path="gates.json")
    return dict(json.loads(Path(path).read_bytes()))


@pytest.mark.parametrize(
    ("name", "b", "a", "made_from", "champion"),
    [
        ("better", 21.0, 30.0, {}, "2"),
        ("worse-on-a", 40.0, 29.0, {}, "1"),
        ("on-more-training-images", 21.0, 30.0, {"dataset": "another"}, "2"),
    ],
)
def test_the_champion_is_replaced_by_a_model_that_passes_the_gates(
    world: Path, uri: str, client: Any, name: str, b: float, a: float, made_from: dict[str, Any], champion: str
) -> None:
    register(f"{world}/one", measured(world, "one", 20.0), name, uri)
    assert aliases(client, name) == {"champion": "1"}
    register(f"{world}/two", measured(world, "two", b, a, **made_from), name, uri)
    other = {"previous": "1"} if champion == "2" else {"challenger": "2"}
    assert aliases(client, name) == {"champion": champion, **other}


def test_where_b_is_empty_mask_ap_on_all_classes_decides(world: Path, uri: str, client: Any) -> None:
    register(f"{world}/one", measured(world, "one", None), "no-b", uri)
    register(f"{world}/two", measured(world, "two", None, 29.9), "no-b", uri)  # within the tolerance for A
    assert aliases(client, "no-b") == {"champion": "1", "challenger": "2"}


def test_where_b_has_no_masks_its_estimate_decides(world: Path, uri: str, client: Any, tmp_path: Path) -> None:
    for name, on_b in (("one", 20.0), ("two", 19.0)):
        estimate = estimated(world / name, tmp_path / name, on_b, margin=3.0)
        evaluation = measured(world, name, None, baseline=None)
        register(f"{world}/{name}", evaluation, "estimated", uri, estimate=estimate)
    assert aliases(client, "estimated") == {"champion": "1", "challenger": "2"}
    gates = {gate["gate"]: gate for gate in record(client, "estimated", "2")["gates"]}
    assert gates["b"]["figures"] == {"estimate_b": 19.0, "champion_estimate_b": 20.0}
    assert gates["baseline"]["passed"] and gates["baseline"]["figures"] == {"estimate_margin": 3.0}


def test_no_version_is_the_champion_before_it_beats_its_own_baseline(world: Path, uri: str, client: Any) -> None:
    register(f"{world}/one", measured(world, "one", 20.0, baseline=21.0), "bar", uri)
    assert aliases(client, "bar") == {"challenger": "1"}
    unbarred = measured(world, "two", 20.0, baseline=None)
    register(f"{world}/two", unbarred, "bar", uri)
    assert aliases(client, "bar") == {"challenger": "2"}
    register(f"{world}/two", unbarred, "no-bar", uri, preset=with_gates(over_baseline=None))
    assert aliases(client, "no-bar") == {"champion": "1"}


def test_each_gates_figures_and_verdict_are_kept_with_the_version(
    world: Path, uri: str, client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    register(f"{world}/one", measured(world, "one", 20.0), "kept", uri)
    with caplog.at_level("INFO", "maskx_model"):
        register(f"{world}/two", measured(world, "two", 19.0), "kept", uri)
    kept = record(client, "kept", "2")
    assert kept["decision"] == "challenger"
    assert kept["champion"]["version"] == "1" and not kept["champion"]["measured_again"]
    assert {gate["gate"]: gate["passed"] for gate in kept["gates"]} == {"a": True, "b": False, "baseline": True}
    reason = "its mask AP on B is 19.00, the champion's 20.00"
    version = client.get_model_version("kept", "2")
    assert version.tags["gate.b"] == f"failed: {reason}"
    metrics = client.get_run(version.run_id).data.metrics
    assert (metrics["gate/b/passed"], metrics["gate/b/mask_ap_b"], metrics["gate/b/champion_mask_ap_b"]) == (0, 19, 20)
    assert f"gate b: failed, {reason}" in caplog.text
    assert "models:/kept/2 is the challenger, version 1 stays the champion; `maskx model promote 2" in caplog.text


def test_costs_are_measured_where_they_are_limited(world: Path, uri: str, client: Any) -> None:
    evaluation = measured(world, "one", 20.0)
    costly = with_gates(max_seconds=60.0, max_memory=0.001)
    sentence = "a worker process was killed, often for lack of memory; .* the same command measures the model's costs"
    with first_worker_killed(), pytest.raises(MaskxError, match=sentence):
        register(f"{world}/one", evaluation, "costly", uri, preset=costly)
    register(f"{world}/one", evaluation, "costly", uri, preset=costly)
    cost = record(client, "costly", "1")["gates"][-1]
    assert cost["gate"] == "cost" and not cost["passed"]
    assert 0 < cost["figures"]["seconds"] < 60
    assert 0.001 < cost["figures"]["memory"] < 50


def test_a_version_that_passes_waits_where_a_person_has_the_last_word(
    world: Path, uri: str, client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", "maskx_model"):
        register(f"{world}/one", measured(world, "one", 20.0), "asked", uri, preset=with_gates(approval=True))
    assert aliases(client, "asked") == {"challenger": "1"}
    assert client.get_model_version("asked", "1").tags["approval"] == "pending"
    assert "models:/asked/1 passed and waits for approval, there is no champion; `maskx model promote 1" in caplog.text
    promote("asked", "challenger", uri)
    assert aliases(client, "asked") == {"champion": "1"}
    assert client.get_model_version("asked", "1").tags["approval"] == "given"
    worse = measured(world, "two", 2.0)
    register(f"{world}/two", worse, "asked", uri, preset=with_gates(approval=True))
    assert "approval" not in client.get_model_version("asked", "2").tags


def test_a_champion_of_other_records_is_measured_again_on_the_new_ones(
    world: Path, uri: str, client: Any, tmp_path: Path
) -> None:
    register(f"{world}/one", f"{world}/evaluation-one", "again", uri)
    promote("again", 1, uri)
    data = write_dataset(tmp_path / "data", random_world(5, 6, NAMES)[0], NAMES)
    evaluate(f"{world}/two", data, f"{tmp_path}/two", f"{world}/baseline-two")
    expected = evaluate(f"{world}/one", data, f"{tmp_path}/one")
    register(f"{world}/two", f"{tmp_path}/two", "again", uri, dataset=data)
    champion = record(client, "again", "2")["champion"]
    assert champion["measured_again"]
    assert champion["figures"]["mask_ap_a"] == expected.ap["transfer"]["A"]
    assert champion["figures"]["mask_ap_b"] == expected.ap["transfer"]["B"]
    assert champion["figures"]["box_ap"] == expected.box_ap["transfer"]["all"]


def test_a_champion_that_cannot_be_measured_again_stays_and_the_reason_is_told(
    world: Path, uri: str, client: Any, tmp_path: Path
) -> None:
    register(f"{world}/one", measured(world, "one", 1.0), "kept-out", uri)
    names = [*NAMES, "lamp"]
    data = write_dataset(tmp_path / "data", random_world(5, 4, names)[0], names)
    for kind, folder in (("transfer", "new"), ("class_agnostic", "baseline")):
        write_model(tmp_path / folder, names, kind)  # type: ignore[arg-type]
    evaluate(f"{tmp_path}/new", data, f"{tmp_path}/evaluation", f"{tmp_path}/baseline")
    register(f"{tmp_path}/new", f"{tmp_path}/evaluation", "kept-out", uri, dataset=data)
    gates = {gate["gate"]: gate for gate in record(client, "kept-out", "2")["gates"]}
    assert aliases(client, "kept-out") == {"champion": "1", "challenger": "2"}
    assert "version 1 cannot be measured on these images" in gates["b"]["reason"]
    assert "another vocabulary" in gates["a"]["reason"]
    tags = client.get_model_version("kept-out", "2").tags
    assert tags["gate.b"].startswith("failed: ")


def test_without_the_dataset_a_champion_of_other_records_stays(world: Path, uri: str, client: Any) -> None:
    register(f"{world}/one", measured(world, "one", 1.0), "unnamed", uri)
    register(f"{world}/two", measured(world, "two", 9.0, ground_truth="another"), "unnamed", uri)
    (reason,) = {gate["reason"] for gate in record(client, "unnamed", "2")["gates"] if gate["gate"] in "ab"}
    assert "the dataset to measure it again on was not named (--dataset)" in reason


def test_a_champion_that_was_replaced_does_not_come_back_by_registering_again(
    world: Path, uri: str, client: Any
) -> None:
    one = (f"{world}/one", measured(world, "one", 20.0), "replaced", uri)
    register(*one)
    register(f"{world}/two", measured(world, "two", 20.0), "replaced", uri)
    assert register(*one) == "models:/replaced/1"
    assert aliases(client, "replaced") == {"champion": "2", "previous": "1"}


def test_a_registration_that_was_cut_off_asks_the_gates_again(world: Path, uri: str, client: Any) -> None:
    one, two = (
        (f"{world}/{name}", measured(world, name, b), "cut-off", uri) for name, b in (("one", 20.0), ("two", 21.0))
    )
    register(*one)
    register(*two)
    for version in ("1", "2"):  # as if it had been killed before its last call
        client.delete_model_version_tag("cut-off", version, "decision")
    register(*two)
    assert aliases(client, "cut-off") == {"champion": "2", "previous": "1"}
    register(*one)
    assert aliases(client, "cut-off") == {"champion": "2", "previous": "1", "challenger": "1"}


def test_promoting_makes_a_version_the_champion_by_number_or_alias(world: Path, uri: str, client: Any) -> None:
    register(f"{world}/one", measured(world, "one", 20.0), "promoted", uri)
    register(f"{world}/two", measured(world, "two", 1.0), "promoted", uri)
    assert promote("promoted", "challenger", uri) == "models:/promoted/2"
    assert aliases(client, "promoted") == {"champion": "2", "previous": "1"}
    assert promote("promoted", 1, uri) == "models:/promoted/1"
    assert aliases(client, "promoted") == {"champion": "1", "previous": "2"}
    with pytest.raises(
        ConfigError, match=r"'promoted' has no version '7' in the registry \(there are: 1, 2, champion, previous\)"
    ):
        promote("promoted", "7", uri)
    with pytest.raises(ConfigError, match="'nobody' has no version '1'"):
        promote("nobody", "1", uri)


def test_a_rollback_goes_back_to_the_champion_before_and_a_second_one_returns(
    world: Path, uri: str, client: Any
) -> None:
    register(f"{world}/one", measured(world, "one", 20.0), "back", uri)
    with pytest.raises(ConfigError, match="'back' has no version with the alias 'previous'"):
        rollback("back", uri)
    register(f"{world}/two", measured(world, "two", 21.0), "back", uri)
    assert rollback("back", uri) == "models:/back/1"
    assert aliases(client, "back") == {"champion": "1", "previous": "2"}
    assert rollback("back", uri) == "models:/back/2"
    assert aliases(client, "back") == {"champion": "2", "previous": "1"}


class Forgetful:
    """A client of a store that does not keep aliases."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def set_registered_model_alias(self, name: str, alias: str, version: str) -> None:
        """Forget it."""


def test_an_alias_that_the_store_does_not_keep_is_an_error(world: Path, uri: str, client: Any) -> None:
    register(f"{world}/one", measured(world, "one", 20.0, baseline=21.0), "forgetful", uri)
    with pytest.raises(TrackingError, match="the alias 'champion' was set to version 1 and is read back as None"):
        make_champion(Forgetful(client), "forgetful", "1")
