"""The page stands alone, shows what it should, and takes no text from data for markup."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import numpy as np
import pytest

from data_prep.format.manifest import Manifest
from data_prep.format.reader import Dataset
from data_prep.pages.plots import class_frequencies
from maskx_model.artifacts.origin import Origin
from maskx_model.evaluation.ground_truth import GroundTruth
from maskx_model.evaluation.metrics import Evaluation, measure
from maskx_model.evaluation.predictions import Predictions
from maskx_model.evaluation.protocols import exhaustive_classes
from maskx_model.report.curves import training_curves
from maskx_model.report.page import Report, Shown, render
from maskx_model.report.pictures import Panel
from maskx_model.results.instances import Instances
from tests.maskx_model.synthetic import random_world
from tests.maskx_model.synthetic_dataset import vocabulary_of, write_dataset

NAMES = ["cup", "<script>alert(1)</script>", "Tür & Tor"]
LABELS = {name: position for position, name in enumerate(NAMES)}
IN_A = frozenset({0})


def nothing_like(predictions: list[Instances]) -> list[Instances]:
    return [Instances(f.boxes[:0], f.labels[:0], f.scores[:0], []) for f in predictions]


@pytest.fixture(scope="module")
def measured() -> tuple[list[str], list[GroundTruth], dict[str, Predictions]]:
    """Thirty, with a baseline that finds nothing at all beside a mediocre model."""
    records, predictions = random_world(0, 30, NAMES)
    ground_truth = [GroundTruth.of(record, "coco", LABELS) for record in records]
    nothing = nothing_like(predictions)
    models = {"class_agnostic": Predictions(nothing, nothing), "transfer": Predictions(predictions, predictions)}
    return [record.key for record in records], ground_truth, models


@pytest.fixture(scope="module")
def report(
    measured: tuple[list[str], list[GroundTruth], dict[str, Predictions]], tmp_path_factory: pytest.TempPathFactory
) -> Report:
    keys, ground_truth, models = measured
    data = Dataset.open(write_dataset(tmp_path_factory.mktemp("report") / "data", random_world(0, 30, NAMES)[0], NAMES))
    made_from: Origin = {"split": "<b>val</b>", "source": "coco", "max_images": None}
    result = measure(
        ground_truth, models, exhaustive_classes(data, "coco").values(), IN_A, data.vocabulary.names, made_from
    )
    panel = Panel("<i>transfer</i>", np.zeros((60, 80, 3), np.uint8), "<u>nothing found</u>")
    pictures = [Shown(keys[0], "Attribution <License>", "gain", "1 of 2 <em>", [panel] * 3)]
    curves = [("masks <transfer>", b'{"step":20,"loss":1.0,"loss_mask":1.0}\n{"step":40,"loss":0.5,"loss_mask":0.5}\n')]
    return Report(result, data.vocabulary, IN_A, data.manifest, curves, pictures)


class Page(HTMLParser):
    """Tags in order, what they refer to, and the text between them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.references: list[str] = []
        self.words = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.references += [value or "" for name, value in attrs if name in {"src", "href", "srcset", "action"}]

    def handle_data(self, data: str) -> None:
        self.words += data


def test_the_page_loads_nothing_from_anywhere(report: Report) -> None:
    page = render(report)
    references = Page(page).references
    assert len(references) == 3 + 2
    assert all(reference.startswith("data:image/") for reference in references)
    assert "url(" not in page
    assert "@import" not in page
    assert re.findall(r"https?://", page) == []


def test_text_from_data_is_never_markup(report: Report) -> None:
    page = Page(render(report))
    assert page.tags.count("script") == 1
    assert not {"i", "u", "em"} & set(Page(render(report).split("<h2>Images")[1]).tags)
    for text in (NAMES[1], NAMES[2], "Attribution <License>", "<i>transfer</i>", "<u>nothing found</u>", "<b>val</b>"):
        assert text in page.words


def test_the_numbers_of_a_b_and_all_stand_on_the_page(report: Report) -> None:
    words = Page(render(report)).words
    for numbers in (report.evaluation.ap, report.evaluation.ap_gt_boxes, report.evaluation.box_ap):
        for sets in numbers.values():
            for ap in sets.values():
                assert f"{ap:.1f}" in words
    for name, reasons in {**report.manifest.left_out, **report.manifest.rejected}.items():
        assert name in words
        assert all(reason in words for reason in reasons)


def test_a_single_model_and_a_page_without_pictures_or_curves(report: Report) -> None:
    alone: Evaluation = msgspec.structs.replace(
        report.evaluation,
        ap={"transfer": {"A": None, "B": 0.0, "all": 0.0}},
        ap_gt_boxes={"transfer": {"A": None, "B": 0.0, "all": 0.0}},
        box_ap={"transfer": {"A": None, "B": 0.0, "all": 0.0}},
        details={},
    )
    bare: Manifest = msgspec.structs.replace(report.manifest, counts={}, left_out={}, rejected={})
    words = Page(render(replace(report, evaluation=alone, pictures=[], curves=[], manifest=bare))).words
    assert "class-agnostic" not in words
    assert "–" in words
    assert "nothing" in words


def test_a_class_with_objects_but_no_mask_is_said_to_be_left_out_of_mask_ap(report: Report) -> None:
    some = [msgspec.structs.replace(c, objects=c.objects or 1) for c in report.evaluation.per_class]
    unknown = dict.fromkeys(some[1].ap)
    without: Evaluation = msgspec.structs.replace(
        report.evaluation, per_class=(some[0], msgspec.structs.replace(some[1], ap=unknown, ap_gt_boxes=unknown))
    )
    said = (
        "1 of the evaluated classes has objects here, but none with a mask, and is excluded from the means of mask AP."
    )
    assert said in " ".join(Page(render(replace(report, evaluation=without))).words.split())
    assert "none with a mask, and" not in Page(render(report)).words


def test_three_thousand_classes_make_a_page_of_less_than_two_megabytes(report: Report) -> None:
    some = report.evaluation.per_class
    many = tuple(
        msgspec.structs.replace(some[i % 3], name=f"an object of kind {i} (kind.n.{i})", position=i)
        for i in range(3001)
    )
    evaluation: Evaluation = msgspec.structs.replace(report.evaluation, per_class=many)
    vocabulary = vocabulary_of([f"an object of kind {i}" for i in range(3000)])
    page = render(replace(report, evaluation=evaluation, vocabulary=vocabulary, pictures=[]))
    assert len(page) < 2e6
    assert page.count("data-name=") == 3001
    assert "data-filters=" in page
    columns = page.partition('id="classes"')[2].partition("</thead>")[0]
    assert columns.count("</th>") == columns.count("data-sort") > 8


def test_the_same_input_gives_the_same_page(report: Report) -> None:
    assert render(report) == render(report)


def test_plots_are_svg_and_the_same_each_time() -> None:
    lines = b"".join(b'{"step":%d,"loss":%f,"loss_a":1,"loss_b":2}\n' % (20 * i, 1 / i) for i in range(1, 50))
    tried = b'{"step":980,"learning_rate_tried":0.003,"loss_held_back":0.2}\n'
    curve = training_curves(lines + tried)
    assert curve is not None
    assert b"<svg" in curve
    assert curve == training_curves(lines + tried)
    assert training_curves(b"") is None
    assert training_curves(tried) is None
    parts = {f"loss_part{number}": 1.0 for number in range(7)}
    curve = training_curves(msgspec.json.encode({"step": 20, "loss": 7.0, **parts}))
    assert curve is not None
    assert all(f"part{number}".encode() in curve for number in range(7))
    vocabulary = vocabulary_of(NAMES)
    assert class_frequencies(vocabulary, IN_A) == class_frequencies(vocabulary, IN_A)


def test_the_template_is_packaged() -> None:
    assert (Path(__file__).parents[3] / "maskx_model/report/templates/report.html.j2").is_file()
