"""Whether the cluster has the GPUs that are asked for, by what its API server answers."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from data_prep.storage.errors import ConfigError
from maskx_model.launch.machines import Machines
from maskx_model.preflight.nodes import check_accelerators, check_ranks, check_trainer
from maskx_model.presets import get_preset
from tests.recording_server import Answer, Recorder, recording_server

TAINT = {"key": "gpu", "value": "yes", "effect": "NoSchedule"}
TOLERATION = {"key": "gpu", "operator": "Equal", "value": "yes", "effect": "NoSchedule"}


def node(name: str, gpus: int, taints: list[dict[str, str]] | None = None, **labels: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": labels},
        "spec": {"taints": taints or []},
        "status": {"allocatable": {"cpu": "8", "nvidia.com/gpu": str(gpus)}},
    }


NODES = {
    "kind": "NodeList",
    "apiVersion": "v1",
    "items": [node("cpu", 0), node("one", 1, pool="small"), node("many", 8, [TAINT], pool="large")],
}


@pytest.fixture
def answer() -> Answer:
    return 200, NODES


@pytest.fixture
def cluster(answer: Answer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    """An API server that answers with nodes, and the configuration that leads to it."""
    with recording_server(lambda _: answer) as server:
        configuration = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "clusters": [{"name": "test", "cluster": {"server": server.url}}],
            "users": [{"name": "test", "user": {}}],
        }
        (tmp_path / "kubeconfig").write_text(yaml.safe_dump(configuration))
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
        yield server


def test_nodes_with_enough_of_them_are_counted(cluster: Recorder) -> None:
    assert check_accelerators(Machines(count="1")) == "1 × nvidia.com/gpu: 1 of 3 nodes have them"
    assert cluster.asked[0].path == "/api/v1/nodes"


def test_a_tainted_pool_needs_its_toleration(cluster: Recorder) -> None:
    asked = Machines(count="8", node_selector={"pool": "large"}, tolerations=(TOLERATION,))
    assert "1 of 3 nodes have them" in check_accelerators(asked)
    assert "the step will wait" in check_accelerators(Machines(count="8", node_selector={"pool": "large"}))


def test_a_pool_of_smaller_nodes_is_a_mistake(cluster: Recorder) -> None:
    with pytest.raises(ConfigError, match="accelerator_count 2: no node with pool=small has more than 1 nvidia"):
        check_accelerators(Machines(count="2", node_selector={"pool": "small"}))


def test_as_many_nodes_are_needed_as_are_asked_for(cluster: Recorder) -> None:
    told = check_accelerators(Machines(nodes="2", count="1"))
    assert told == "2 × 1 × nvidia.com/gpu: 1 of 2 such nodes now; the step will wait"


def test_a_pool_that_has_no_node_yet_is_none(cluster: Recorder) -> None:
    told = check_accelerators(Machines(count="2", node_selector={"pool": "spot"}))
    assert told == "2 × nvidia.com/gpu: no node has them now among those with pool=spot; the step will wait"


@pytest.mark.parametrize("answer", [(200, {"kind": "ClusterTrainingRuntime"})])
def test_several_nodes_train_as_a_train_job(cluster: Recorder) -> None:
    assert check_trainer(Machines(nodes="2")) == "2 nodes, by a TrainJob"
    assert "/clustertrainingruntimes/torch-distributed" in cluster.asked[0].path


@pytest.mark.parametrize("answer", [(404, b"404 page not found")])
def test_several_nodes_need_kubeflow_trainer(cluster: Recorder) -> None:
    with pytest.raises(ConfigError, match="no runtime torch-distributed; install Kubeflow Trainer"):
        check_trainer(Machines(nodes="2"))


@pytest.mark.parametrize(
    ("nodes", "count", "message"),
    [
        ("1", "3", "nodes 1, accelerator_count 3: 3 ranks cannot share stage1.images_per_batch 8 evenly"),
        ("2", "8", "16 ranks cannot share stage1.images_per_batch 8 evenly; choose a multiple of 16"),
    ],
)
def test_ranks_that_cannot_share_a_batch_are_a_mistake(nodes: str, count: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_ranks(get_preset("toy"), Machines(nodes=nodes, count=count))


def test_the_batch_of_cached_rois_is_shared_too() -> None:
    toy = get_preset("toy")
    odd = replace(toy, stage2=replace(toy.stage2, cache_rois=True, rois_per_batch=60))
    with pytest.raises(ConfigError, match=r"8 ranks cannot share stage2.rois_per_batch 60 evenly"):
        check_ranks(odd, Machines(nodes="2", count="4"))
    check_ranks(toy, Machines(nodes="2", count="4"))


def test_the_batch_of_crops_is_shared_too() -> None:
    toy = get_preset("toy")
    odd = replace(toy, crops=replace(toy.crops, crops_per_batch=60))
    with pytest.raises(ConfigError, match=r"8 ranks cannot share crops.crops_per_batch 60 evenly"):
        check_ranks(odd, Machines(nodes="2", count="4"))


@pytest.mark.parametrize("answer", [(403, {"kind": "Status", "reason": "Forbidden"})])
def test_an_account_that_may_not_look_says_so(cluster: Recorder) -> None:
    assert "the service account may not look" in check_accelerators(Machines(count="1"))


def test_without_a_cluster_nothing_can_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "nowhere"))
    assert "the cluster's nodes cannot be seen" in check_accelerators(Machines(count="1"))
    assert check_accelerators(Machines(count="0")) == "none asked for: CPUs"
