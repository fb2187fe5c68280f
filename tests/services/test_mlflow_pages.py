"""MLflow's pages as users see them: a real server, a real browser, two models registered."""

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from maskx_model.artifacts.model_folder import model_hash
from maskx_model.presets import get_preset
from maskx_model.registry.mlflow_run import connected
from maskx_model.registry.pages import run_page, runs_page, version_page
from maskx_model.registry.registry import register
from maskx_model.report.evaluate import evaluate
from maskx_model.run_config import GatesConfig
from tests.browser import chromium
from tests.maskx_model.synthetic import random_world
from tests.maskx_model.synthetic_dataset import write_dataset, write_model
from tests.services.mlflow_server import mlflow_server

pytestmark = pytest.mark.services
NAMES = ["cup", "chair"]
SECONDS = 60


@dataclass(frozen=True)
class Registered:
    """A server with two runs, newest first, of one experiment; and the hash of the detector of both."""

    url: str
    experiment: Any
    runs: tuple[Any, ...]
    detector: str


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registered]:
    folder = tmp_path_factory.mktemp("pages")
    data = write_dataset(folder / "data", random_world(0, 6, NAMES)[0], NAMES)
    detector = write_model(folder / "detector", NAMES, None)
    first_stays = GatesConfig(over_baseline=None, b_gain=100.0)
    preset = replace(get_preset("toy"), gates=first_stays)
    with mlflow_server(tmp_path_factory.mktemp("server")) as url:
        for seed, pipeline in enumerate(("first", "second")):
            root = folder / pipeline
            model = write_model(root / "masks-transfer", NAMES, "transfer", seed=seed)
            name_parents(Path(model), detector, data)
            baseline = write_model(root / "masks-class-agnostic", NAMES, "class_agnostic", seed=seed)
            evaluate(model, data, f"{root}/evaluation", baseline, stages=[detector])
            register(model, f"{root}/evaluation", "maskx", url, (detector,), data, preset)
        with connected(url) as client:
            experiment = client.get_experiment_by_name("maskx")
            runs = tuple(client.search_runs([experiment.experiment_id]))
        yield Registered(url, experiment, runs, model_hash(detector))


def name_parents(model: Path, detector: str, dataset: str) -> None:
    """Let the model say what a trained one says: its detector and its dataset."""
    manifest = json.loads((model / "manifest.json").read_bytes())
    digest = hashlib.sha256(Path(dataset, "manifest.json").read_bytes()).hexdigest()
    manifest["made_from"] |= {"detector": model_hash(detector), "dataset": digest}
    (model / "manifest.json").write_text(json.dumps(manifest))


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    with chromium(tmp_path_factory.mktemp("profile")) as opened:
        opened.set_window_size(1600, 1200)
        yield opened


def shown(window: Chrome, *texts: str) -> str:
    """The page's text, once it shows all of these."""

    def text(_: Chrome) -> str | None:
        body = str(window.execute_script("return document.body.innerText")).replace("\N{NO-BREAK SPACE}", " ")
        return body if all(each in body for each in texts) else None

    return str(until(window, text, f"the page does not show {texts}"))


def visit(window: Chrome, url: str) -> None:
    """Open a page anew: between two addresses of one page, the browser would only move."""
    window.get("about:blank")
    window.get(url)


def until(window: Chrome, condition: Callable[[Chrome], Any], message: str) -> Any:
    return WebDriverWait(window, SECONDS).until(condition, message)


def test_the_runs_of_two_pipelines_stand_side_by_side(registered: Registered, window: Chrome) -> None:
    visit(window, runs_page(registered.url, registered.experiment.experiment_id))
    text = shown(window, "first/masks-transfer", "second/masks-transfer", "2 matching runs")
    assert "Token Usage" not in text
    assert registered.experiment.tags["mlflow.experimentKind"] == "custom_model_development"
    ids = ",".join(f'"{run.info.run_id}"' for run in registered.runs)
    visit(window, f'{registered.url}/#/compare-runs?runs=[{ids}]&experiments=["{registered.experiment.experiment_id}"]')
    text = shown(window, "Comparing 2 Runs", "ap/transfer/A", "ap/transfer/B")
    compared = numbers_by_name(text.partition("Metrics\nShow diff only\n")[2].partition("Artifacts\n")[0].splitlines())
    for metric in ("ap/transfer/A", "ap/transfer/B", "ap_gt_boxes/transfer/A", "ap_gt_boxes/transfer/B"):
        assert compared[metric] == pytest.approx([run.data.metrics[metric] for run in registered.runs], rel=1e-3)


def numbers_by_name(lines: list[str]) -> dict[str, list[float]]:
    """The rows of a table that lists its names first, and then the two numbers of each."""
    names = [line for line in lines if not re.fullmatch(r"[\d.]+", line)]
    numbers = [float(line) for line in lines[len(names) :]]
    return {name: numbers[2 * row : 2 * row + 2] for row, name in enumerate(names)}


def test_a_run_shows_its_report_and_its_pictures(registered: Registered, window: Chrome) -> None:
    run = registered.runs[0].info.run_id
    of_run = (registered.url, registered.experiment.experiment_id, run)
    visit(window, run_page(*of_run, "evaluation/report.html"))
    frame = until(window, lambda w: w.find_elements(By.TAG_NAME, "iframe"), "no report is shown")[0]
    window.switch_to.frame(frame)
    shown(window, "What A and B are")
    window.switch_to.default_content()
    with connected(registered.url) as client:
        picture = client.list_artifacts(run, "evaluation/pictures")[0].path
    visit(window, run_page(*of_run, picture))
    script = "return [...document.images].some(image => image.complete && image.naturalWidth > 200)"
    until(window, lambda w: w.execute_script(script), "no picture is shown")


def test_a_version_shows_its_card_its_source_and_its_parents(registered: Registered, window: Chrome) -> None:
    visit(window, version_page(registered.url, "maskx", "1"))
    text = shown(window, "masks-transfer: Mask^X R-CNN", "Source Run", "first/masks-transfer", "parent.detector")
    assert "Intended use" in text and "Attribution <License>" in text
    assert registered.detector in text
    assert "@ champion" in text
