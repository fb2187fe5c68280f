"""A training that writes to object storage and is followed: what a server did not take survives the machine."""

from pathlib import Path

import numpy as np
import pytest

from data_prep.storage.storage import list_files
from maskx_model.registry.live_run import LiveRun
from maskx_model.registry.live_training import FollowedTraining, followed
from maskx_model.registry.mlflow_run import client_of
from tests.maskx_model.registry.live import NOWHERE, curve, database_in, runs_of
from tests.maskx_model.synthetic import random_world
from tests.maskx_model.synthetic_dataset import write_dataset
from tests.maskx_model.tiny_presets import tiny

pytestmark = pytest.mark.services

NAMES = ["cup", "chair"]


def test_what_waits_is_in_the_bucket_when_the_training_ends_and_another_machine_sends_it(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "RANK"):
        monkeypatch.delenv(name, raising=False)
    data = write_dataset(tmp_path / "data", random_world(0, 4, NAMES)[0], NAMES)
    out, uri = f"{store}/run/detector", database_in(tmp_path)
    training = FollowedTraining("stage1", data, out, tiny())

    def follow(tracking_uri: str, steps: range) -> None:
        with followed(training, tracking_uri) as observers:
            assert isinstance(observers.sink, LiveRun)
            for step in steps:
                observers.sink.write(step, {"loss": 1 / step})
            observers.sink.show(steps[-1], "coco-1", np.zeros((8, 8, 3), np.uint8))

    follow(NOWHERE, range(1, 6))
    waiting = {"run.json", "events.jsonl", "pictures/00000005-coco-1.png"}
    assert {f"tracking/{name}" for name in waiting} <= set(list_files(out))
    monkeypatch.setenv("MASKX_SCRATCH", str(tmp_path / "another machine"))
    follow(uri, range(4, 9))
    client = client_of(uri)
    run = runs_of(client)["detector"]
    assert curve(client, run, "loss") == [(step, 1 / step) for step in range(1, 9)]
    images = {file.path.partition("+timestamp")[0] for file in client.list_artifacts(run.info.run_id, "images")}
    assert images == {"images/coco-1+step+5", "images/coco-1+step+8"}
    assert list_files(out) == []
