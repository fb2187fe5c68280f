"""`maskx data check`: what it says is what `prepare` does, and it leaves nothing behind but the page."""

import base64
import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from data_prep.check.check import CheckOptions, check
from data_prep.check.examples import drawn
from data_prep.check.findings import Sum, image_sum, object_sum, rows
from data_prep.check.page import render
from data_prep.check.remedies import REMEDIES
from data_prep.check.text import describe
from data_prep.sources.counts import numbers
from data_prep.sources.reasons import EXCLUDED, LOST_MASKS, NOTED, REJECTED, REPAIRED
from pipelines.cli import main
from tests.data_prep.prepare.own_source import made, write
from tests.data_prep.small_sources import coco_image, coco_object, write_coco


def odd(folder: Path) -> str:
    images = [coco_image(number) for number in range(1, 9)]
    objects: list[Any] = [coco_object(n, n) for n in range(1, 9)]
    objects[0]["iscrowd"] = "yes"
    objects[1]["area"] = 0
    objects[2]["segmentation"] = [[1, 2, 3]]
    objects += [coco_object(9, 4), coco_object(10, 5, bbox=[5, 3, 90, 5], segmentation=[])]
    source = write(folder, images, objects)
    (folder / "images/000000000008.jpg").unlink()
    return f"mine=coco:{source}"


def test_it_says_what_prepare_does(tmp_path: Path) -> None:
    source = odd(tmp_path)
    checked = check(CheckOptions((source,), max_rejected=0.3))
    manifest = made(tmp_path, source)
    assert checked.refused is None
    assert checked.counts.rejected() == manifest.rejected
    assert checked.counts.excluded == manifest.left_out
    assert numbers(checked.counts.repaired) == manifest.repaired
    assert numbers(checked.counts.noted) == manifest.noted


def test_images_and_objects_listed_are_the_sum_of_what_became_of_them(tmp_path: Path) -> None:
    checked = check(CheckOptions((odd(tmp_path),), max_rejected=0.3))
    assert image_sum(checked.counts, "mine", checked.statistics["mine"]) == Sum(8, 7, 0, 0, 1)
    assert object_sum(checked.counts, "mine") == Sum(10, 5, 2, 2, 1)


def test_each_finding_has_an_example_in_full_and_what_to_do(tmp_path: Path) -> None:
    text = describe(check(CheckOptions((odd(tmp_path),), max_rejected=0.3)))
    assert "rejected: malformed 1× — " in text
    assert 'own.json: annotation 1, iscrowd: "yes"' in text
    assert "repaired: area 1× — objects whose area is no number above 0: computed anew" in text
    assert "left out: doubled 1×" in text
    assert "own.json: annotation 10, bbox: [5.0,3.0,90.0,5.0], image 40×30" in text
    assert "to do: put the file where it was looked for, or correct its name" in text
    assert text.endswith("prepare would accept this")


@pytest.mark.parametrize("images", [True, False])
def test_it_writes_nothing_and_looks_at_files_only_if_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, images: bool
) -> None:
    monkeypatch.setenv("MASKX_SCRATCH", str(tmp_path / "scratch"))
    source = odd(tmp_path)
    (tmp_path / "images/000000000007.jpg").write_bytes(b"<html>")
    before = sorted(tmp_path.rglob("*.tar"))
    checked = check(CheckOptions((source,), images=images, max_rejected=0.5))
    assert ("format_not_read" in {reject.reason for reject in checked.counts.rejects}) == images
    assert sorted(tmp_path.rglob("*.tar")) == before == []
    assert not list((tmp_path / "scratch").glob("check-*"))


def test_without_images_those_that_list_no_size_are_read_even_so(tmp_path: Path) -> None:
    images = [coco_image(1), *({**coco_image(n), "width": None} for n in range(2, 5))]
    source = f"mine=coco:{write(tmp_path, images, [coco_object(n, n) for n in range(1, 5)])}"
    checked = check(CheckOptions((source,), images=False))
    assert checked.refused is None
    assert object_sum(checked.counts, "mine") == Sum(4, 4, 0, 0, 0)
    assert numbers(checked.counts.repaired) == {"mine": {"size_from_file": 3}}


def test_the_page_shows_the_examples(tmp_path: Path) -> None:
    html = render(check(CheckOptions((odd(tmp_path),), max_rejected=0.3)))
    assert html.count("data:image/jpeg") >= 3
    assert "annotation 10, bbox" in html


def test_the_command_ends_with_1_where_prepare_would_refuse(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flat = [coco_object(number, 1, bbox=[1, 1, 0, 2], segmentation=[]) for number in range(1, 9)]
    source = f"mine=coco:{write(tmp_path, [coco_image(1)], flat)}"
    with pytest.raises(SystemExit) as caught:
        main(["data", "check", "--source", source, "--out", f"{tmp_path}/page"])
    assert "prepare would refuse" in str(caught.value)
    assert "prepare would refuse this: source mine: 8 of 8 objects are broken" in capsys.readouterr().out
    assert "8 of 8 objects" in (tmp_path / "page/index.html").read_text()


def test_every_reason_that_asks_for_something_says_what() -> None:
    assert REMEDIES.keys() <= EXCLUDED.keys() | REPAIRED.keys() | NOTED.keys() | REJECTED.keys()
    assert REJECTED.keys() | NOTED.keys() | LOST_MASKS.keys() <= REMEDIES.keys()


def test_rejects_come_first(tmp_path: Path) -> None:
    found = rows(check(CheckOptions((odd(tmp_path),), max_rejected=0.3)).counts)
    outcomes = [row.outcome for row in found]
    assert outcomes == sorted(outcomes, key=["rejected", "odd", "repaired", "left out"].index)


def test_files_with_one_name_are_told_apart_and_the_right_one_is_drawn(tmp_path: Path) -> None:
    options = []
    for number in (1, 2):
        objects = [coco_object(1, 1, bbox=[5, 3, 90, 5], segmentation=[])] if number == 2 else [coco_object(1, 1)]
        name = f"{number}.png"
        options.append(f"mine=coco:{write(tmp_path / f'job{number}', [coco_image(1, file_name=name)], objects)}")
        Image.new("RGB", (40, 30), (0, 0, 255 * (number == 2))).save(tmp_path / f"job{number}/images/{name}")
    checked = check(CheckOptions(tuple(options)))
    assert "job2/own.json: image 1, id: 1 is in job1/own.json too" in describe(checked)
    (row,) = [row for row in rows(checked.counts) if row.reason == "beyond_image"]
    picture = drawn(checked, row)
    assert picture is not None
    assert Image.open(io.BytesIO(base64.b64decode(picture.partition(",")[2]))).getpixel((300, 250)) == (0, 0, 254)


def test_images_that_are_read_upright_are_shown_so(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    write_coco(tmp_path / "mine", [coco_image(1, width=30, height=40)], [coco_object(5, 1)])
    Image.new("RGB", (40, 30)).save(tmp_path / "mine/train2017/000000000001.jpg", exif=exif)
    checked = check(CheckOptions((f"mine=coco:{tmp_path}/mine",)))
    assert checked.counts.repaired["mine"]["exif_upright"].number == 1
    (row,) = [row for row in rows(checked.counts) if row.reason == "exif_upright"]
    picture = drawn(checked, row)
    assert picture is not None
    width, height = Image.open(io.BytesIO(base64.b64decode(picture.partition(",")[2]))).size
    assert width < height
