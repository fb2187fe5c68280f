"""What the environment says of MLflow is not the user's."""

import pytest


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "RANK"):
        monkeypatch.delenv(name, raising=False)
