"""`maskx model promote` and `maskx model rollback`, in a real store."""

from pathlib import Path
from typing import Any

import pytest

from maskx_model.registry.registry import register
from pipelines.cli import main
from tests.maskx_model.registry.evaluations import aliases, measured


def test_the_commands_promote_and_roll_back_the_named_model(
    world: Path, uri: str, client: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    register(f"{world}/one", measured(world, "one", 20.0), "by-hand", uri)
    register(f"{world}/two", measured(world, "two", 1.0), "by-hand", uri)
    registry = ["--name", "by-hand", "--tracking-uri", uri]
    main(["model", "promote", "2", *registry])
    assert capsys.readouterr().out == "models:/by-hand/2\n"
    assert aliases(client, "by-hand") == {"champion": "2", "previous": "1"}
    main(["model", "rollback", *registry])
    assert capsys.readouterr().out == "models:/by-hand/1\n"
    assert aliases(client, "by-hand") == {"champion": "1", "previous": "2"}
