"""A server that speaks the calls of Kubeflow Pipelines' v2beta1 API which `maskx` makes, and remembers them.

It keeps what it is given and checks nothing: what the real server refuses is tested on the real one.
"""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.recording_server import Answer, Asked

API = "/apis/v2beta1"


class Kept:
    """What the server has: pipelines, versions, experiments, runs and schedules by their ids."""

    def __init__(self) -> None:
        self.pipelines: dict[str, dict[str, Any]] = {}
        self.versions: dict[str, dict[str, Any]] = {}
        self.experiments: dict[str, dict[str, Any]] = {}
        self.runs: dict[str, dict[str, Any]] = {}
        self.recurring: dict[str, dict[str, Any]] = {}
        self.refused: dict[str, Answer] = {}
        """Path → the answer that it gets instead."""

    def answer(self, asked: Asked) -> Answer:
        """Answer a request."""
        parts = urlsplit(asked.path)
        path = parts.path.removeprefix(API)
        if path in self.refused:
            return self.refused[path]
        routes: dict[str, Callable[..., Any]] = {
            r"GET /healthz": lambda: {"multi_user": False},
            r"GET /pipelines": lambda: {"pipelines": list(self.pipelines.values())},
            r"POST /pipelines/upload": lambda: self._pipeline(parse_qs(parts.query)),
            r"POST /pipelines/upload_version": lambda: self._version(parse_qs(parts.query), asked),
            r"GET /pipelines/[^/]+/versions": lambda: {"pipeline_versions": list(self.versions.values())},
            r"GET /experiments": lambda: {"experiments": list(self.experiments.values())},
            r"POST /experiments": lambda: self._keep(self.experiments, "experiment_id", asked.json()),
            r"POST /runs": lambda: self._keep(self.runs, "run_id", asked.json()),
            r"POST /recurringruns": lambda: self._schedule(asked.json()),
            r"GET /recurringruns": lambda: {"recurringRuns": list(self.recurring.values())},
            r"DELETE /recurringruns/(\w+)": lambda key: self.recurring.pop(key) and {},
            r"POST /recurringruns/(\w+):(disable|enable)": self._switch,
        }
        for pattern, respond in routes.items():
            if found := re.fullmatch(pattern, f"{asked.method} {path}"):
                return 200, respond(*found.groups())
        return 404, {"message": f"unknown: {asked.method} {path}"}

    def _keep(self, kept: dict[str, dict[str, Any]], key: str, value: dict[str, Any]) -> dict[str, Any]:
        name = f"{key.removesuffix('_id').replace('_', '')}{len(kept) + 1}"
        kept[name] = {**value, key: name}
        return kept[name]

    def _pipeline(self, query: dict[str, list[str]]) -> dict[str, Any]:
        return self._keep(self.pipelines, "pipeline_id", {"display_name": query["name"][0]})

    def _version(self, query: dict[str, list[str]], asked: Asked) -> dict[str, Any]:
        value = {"display_name": query["name"][0], "pipeline_id": query["pipelineid"][0], "bytes": len(asked.body)}
        return self._keep(self.versions, "pipeline_version_id", value)

    def _schedule(self, value: dict[str, Any]) -> dict[str, Any]:
        return self._keep(self.recurring, "recurring_run_id", {**value, "status": f"{value['mode']}D"})

    def _switch(self, key: str, action: str) -> dict[str, Any]:
        self.recurring[key]["status"] = f"{action.upper()}D"
        return {}
