"""Every generated page in a real browser: no error on its console, and what can be clicked works."""

import itertools
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.keys import Keys

from data_prep.browse.page import BrowseOptions, browse
from data_prep.check.check import CheckOptions, check
from data_prep.check.page import write_page
from data_prep.format.reader import Dataset
from maskx_model.annotate.annotate import AnnotateOptions, annotate
from maskx_model.evaluation.evaluation_run import EvaluationRun
from maskx_model.evaluation.ground_truth import GroundTruth
from maskx_model.evaluation.metrics import measure
from maskx_model.evaluation.predictions import Predictions
from maskx_model.evaluation.protocols import exhaustive_classes
from maskx_model.report.folder import write_evaluation
from maskx_model.study.estimate import Holdout, best, results
from maskx_model.study.page import holdout_page
from maskx_model.study.rows import Row
from maskx_model.study.table_page import tables_page
from maskx_model.study.table_result import summarize
from maskx_model.study.table_rows import METHODS, ROWS
from tests.browser import OpenPage, chromium
from tests.data_prep.check.test_check import odd
from tests.maskx_model.annotate.small_boxes import annotation, write_boxes
from tests.maskx_model.synthetic import random_world
from tests.maskx_model.synthetic_dataset import write_dataset, write_model

REPOSITORY = Path(__file__).parents[1]
NAMES = ["cup", "<script>alert(1)</script>", "Tür & Tor", "zebra", "apple"]
PROVENANCE = {"dataset": "0123456789abcdef" * 4, "split": "val", "source": "coco"}


def write_browse(folder: Path) -> Path:
    dataset = write_dataset(folder / "data", random_world(0, 30, NAMES)[0], NAMES)
    return Path(browse(dataset, f"{folder}/browse.html", BrowseOptions(classes=3, samples=2)))


def write_report(folder: Path) -> Path:
    records, predicted = random_world(0, 30, NAMES)
    data = Dataset.open(write_dataset(folder / "data", records, NAMES))
    ground_truth = [GroundTruth.of(record, "coco", {name: i for i, name in enumerate(NAMES)}) for record in records]
    boxed = random_world(1, 30, NAMES)[1]
    predictions = {"class_agnostic": Predictions(boxed, boxed), "transfer": Predictions(predicted, predicted)}
    classes, mask_classes = exhaustive_classes(data, "coco").values(), frozenset({0, 1})
    result = measure(
        ground_truth, predictions, classes, mask_classes, data.vocabulary.names, {**PROVENANCE, "max_images": None}
    )
    stage = write_model(folder / "masks", NAMES, "transfer")
    write_evaluation(
        f"{folder}/out", EvaluationRun(data, data.rows, ground_truth, predictions, mask_classes, result), [stage]
    )
    return folder / "out/report.html"


def measured_rows(count: int, classes: tuple[int, ...], seed: int) -> list[Row]:
    ap = np.random.default_rng(seed).uniform(2, 60, (2, count, len(classes)))
    return [Row(*(dict(zip(classes, each, strict=True)) for each in pair)) for pair in ap.swapaxes(0, 1).tolist()]


def write_holdout(folder: Path) -> Path:
    names = ("class_agnostic", "cls", "cls+box", "gt-rois")
    rows = {name: measured_rows(2, (0, 1), 2 * i) + measured_rows(2, (2, 3), 2 * i + 1) for i, name in enumerate(names)}
    variants = results(rows, {}, [4])
    folds = (("cup", NAMES[1]), (NAMES[2], "zebra"))
    result = Holdout(variants, best(variants).name, {"held out": 20.0, "B": None}, folds, (0, 1), PROVENANCE)
    page = folder / "holdout.html"
    page.write_text(holdout_page(result))
    return page


def write_tables(folder: Path) -> Path:
    missing = {row.id: "no file of word vectors was named (--embedding)" for row in ROWS if row.method == "embedding"}
    measured = {name: measured_rows(2, (0, 1, 2, 3), i) for i, name in enumerate(METHODS) if name != "embedding"}
    page = folder / "tables.html"
    page.write_text(tables_page(summarize(ROWS, missing, measured, (0, 1), "toy", (0, 1), PROVENANCE)))
    return page


def write_check(folder: Path) -> Path:
    write_page(check(CheckOptions((odd(folder),), max_rejected=0.3)), f"{folder}/check.html")
    return folder / "check.html"


def write_annotated(folder: Path) -> Path:
    categories = [{"id": number, "name": name} for number, name in enumerate([*NAMES, "elk"], 1)]
    boxes = [annotation(number, category_id=number) for number in range(1, len(categories) + 1)]
    source = write_boxes(folder, boxes, images=1, categories=categories)
    model = write_model(folder / "masks", NAMES, "transfer")
    annotate(AnnotateOptions(model, f"{folder}/out", source))
    return folder / "out/page.html"


PAGES: dict[str, Callable[[Path], Path]] = {
    "annotated.html.j2": write_annotated,
    "browse.html.j2": write_browse,
    "check.html.j2": write_check,
    "report.html.j2": write_report,
    "holdout.html.j2": write_holdout,
    "paper_tables.html.j2": write_tables,
}
"""Template → what writes a page of it."""


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    with chromium(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture(scope="module", params=PAGES)
def page(request: pytest.FixtureRequest, window: Chrome, tmp_path_factory: pytest.TempPathFactory) -> OpenPage:
    """Each page in turn, open in the browser, with its details unfolded."""
    opened = OpenPage(window, PAGES[request.param](tmp_path_factory.mktemp("page")))
    assert opened.errors() == []
    for summary in opened.all("details > summary"):
        opened.click(summary)
    return opened


def test_every_page_is_opened() -> None:
    templates = [file for package in ("data_prep", "maskx_model") for file in (REPOSITORY / package).rglob("*.j2")]
    assert {file.name for file in templates if re.match(r'{% extends "page', file.read_text())} == PAGES.keys()


def test_details_unfold_and_nothing_is_wider_than_the_window(page: OpenPage) -> None:
    assert page.all("details")
    assert all(details.get_attribute("open") for details in page.all("details"))
    assert page.overflow() == 0
    assert page.errors() == []


def test_a_click_on_a_heading_sorts_by_its_column_and_another_reverses_it(page: OpenPage) -> None:
    headings = page.all("th[data-sort]")
    assert len(headings) > 4
    for heading in headings:
        before = page.column(heading)
        columns = {}
        for _ in range(2):
            page.click(heading.find_element("tag name", "button"))
            columns[str(heading.get_attribute("aria-sort"))] = page.column(heading)
        ascending, descending = columns["ascending"], columns["descending"]
        assert sorted(ascending) == sorted(descending) == sorted(before)
        if heading.get_attribute("data-sort") == "text":
            assert page.in_alphabetical_order(ascending)
            assert ascending == descending[::-1]
        else:
            assert_sorted_numbers(ascending, 1)
            assert_sorted_numbers(descending, -1)
    assert page.errors() == []


def assert_sorted_numbers(column: list[str], direction: int) -> None:
    """Numbers rise (1) or fall (-1); cells that are not numbers come last."""
    numbers = [re.match(r"[+-]?[\d,.]+", cell) for cell in column]
    known = [float(number[0].replace(",", "")) for number in numbers if number]
    assert all(direction * (low - high) <= 0 for low, high in itertools.pairwise(known))
    assert all(numbers[: len(known)])


def test_a_search_shows_what_it_finds_and_hides_the_rest(page: OpenPage) -> None:
    for search in page.all("input[type=search]"):
        named = page.all(str(search.get_attribute("data-filters")))
        for wanted in ("ZEBRA", "tür &", "<script>", "no such class"):
            search.clear()
            search.send_keys(wanted, Keys.TAB)
            matching = [wanted.lower() in str(each.get_attribute("data-name")) for each in named]
            assert [each.is_displayed() for each in named] == matching
            assert any(matching) == (wanted != "no such class")
        search.send_keys(Keys.CONTROL, "a", Keys.NULL, Keys.BACKSPACE)
        assert all(each.is_displayed() for each in named)
    assert page.errors() == []


def test_a_click_enlarges_an_image_and_another_shrinks_it(page: OpenPage) -> None:
    for image in page.all(".panels img"):
        small = image.size["width"]
        page.click(image)
        assert image.size["width"] > small
        page.click(image)
        assert image.size["width"] == small
    assert page.errors() == []


def test_a_link_leads_to_its_place_in_the_page(page: OpenPage) -> None:
    for link in page.all("main a"):
        target = str(link.get_attribute("href")).partition("#")[2]
        page.click(link)
        assert len(page.all(f"#{target}:target")) == 1
    assert page.errors() == []


def test_every_image_is_shown(page: OpenPage) -> None:
    assert page.broken_images() == []
    assert page.errors() == []
