"""The page that shows a dataset: it stands alone, lists everything, and takes no text from data for markup."""

import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_prep.browse.boxes import box_histogram, count_boxes
from data_prep.browse.catalogue import Catalogue
from data_prep.browse.page import BrowseOptions, browse, page_uri
from data_prep.browse.samples import LONG_EDGE, class_samples
from data_prep.format.images import decode_rgb
from data_prep.format.reader import Dataset
from data_prep.pages.drawing import GREENS, REDS
from data_prep.storage.errors import ConfigError
from tests.data_prep.small_sources import (
    coco_image,
    coco_object,
    prepare_plainly,
    vg_image,
    vg_object,
    write_coco,
    write_vg,
)

SCRIPT = "<script>alert(1)</script>"
QUOTES = """x" onload="alert(2)' </script><!--"""


class Page(HTMLParser):
    """Every tag with its attributes, in order, and the text outside of scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def read_page(path: str) -> Page:
    return Page(Path(path).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset whose synsets, class names and own name hold markup."""
    folder = tmp_path_factory.mktemp("hostile")
    categories = [{"id": 1, "name": SCRIPT}, {"id": 3, "name": QUOTES}]
    objects = [coco_object(1, 1), coco_object(2, 1, category_id=3), coco_object(3, 1, segmentation=SCRIPT)]
    write_coco(folder / "coco", [coco_image(1)], objects, categories=categories)
    write_vg(folder / "vg", [vg_image(1), vg_image(2)], {1: [vg_object(1, [SCRIPT + ".n.01"])], 2: [vg_object(2)]})
    prepare_plainly(folder / "data<i>", f"coco=coco:{folder}/coco", f"vg=vg:{folder}/vg")
    return folder / "data<i>"


def test_text_from_data_is_shown_as_text(hostile: Path, tmp_path: Path) -> None:
    page = read_page(browse(str(hostile), f"{tmp_path}/page.html", BrowseOptions()))
    assert len(page.all("script")) == 1
    assert not page.all("i")
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    for text in (SCRIPT, SCRIPT + ".n.01", QUOTES, "data<i>"):
        assert text in page.words


def test_the_page_loads_nothing_from_anywhere(toy_dataset: Path, tmp_path: Path) -> None:
    path = browse(str(toy_dataset), f"{tmp_path}/page.html", BrowseOptions(classes=4, samples=2))
    page, text = read_page(path), Path(path).read_text(encoding="utf-8")
    assert not page.all("link")
    assert all(str(image["src"]).startswith("data:image/") for image in page.all("img"))
    assert all(str(link["href"]).startswith("#") for link in page.all("a"))
    assert "default-src 'none'" in text
    assert "@import" not in text
    assert not re.search(r"url\(|fetch\(|https?://", re.sub(r"license: \S+", "", text))


def test_every_class_is_listed_and_found_by_name_synset_and_source_name(toy_dataset: Path, tmp_path: Path) -> None:
    page = read_page(browse(str(toy_dataset), f"{tmp_path}/page.html", BrowseOptions(classes=2, samples=1)))
    vocabulary = Dataset.open(str(toy_dataset)).vocabulary
    rows = [str(row["data-name"]) for row in page.all("tr") if "data-name" in row]
    ranked = sorted(vocabulary.classes, key=lambda c: (-c.objects, c.name))
    assert len(rows) == len(ranked)
    for row, c in zip(rows, ranked, strict=True):
        names = [c.name, c.synset, *(name for own in c.sources.values() for name in own.names)]
        assert all(name.lower() in row for name in names)
    sections = [str(section["data-name"]) for section in page.all("section")]
    assert sections == rows[:2]


def test_counts_and_reasons_are_on_the_page(toy_dataset: Path, tmp_path: Path) -> None:
    words = read_page(browse(str(toy_dataset), f"{tmp_path}/page.html", BrowseOptions(1, 1, 5))).words
    manifest = Dataset.open(str(toy_dataset)).manifest
    for reasons in (*manifest.left_out.values(), *manifest.rejected.values()):
        assert all(reason in words and f"{count:,}" in words for reason, count in reasons.items())
    assert "objects without a synset" in words
    assert "coco+vg" in words


def test_the_same_dataset_gives_the_same_page(toy_dataset: Path, tmp_path: Path) -> None:
    pages = [browse(str(toy_dataset), f"{tmp_path}/{i}.html", BrowseOptions(2, 2, 10)) for i in range(2)]
    assert Path(pages[0]).read_bytes() == Path(pages[1]).read_bytes()


def test_the_catalogue_says_what_the_records_say(toy_dataset: Path) -> None:
    dataset = Dataset.open(str(toy_dataset))
    catalogue = Catalogue.of(dataset.index, dataset.vocabulary)
    indexes = {source.name: dataset.vocabulary.index(source.name) for source in dataset.manifest.sources}
    shown: dict[int, set[str]] = {}
    for row in dataset.rows:
        for source, objects in dataset.read_record(row).objects.items():
            for a in objects:
                if a.category in indexes[source]:
                    shown.setdefault(indexes[source][a.category], set()).add(row.key)
    for position, c in enumerate(dataset.vocabulary.classes):
        keys = shown.get(position, set())
        assert catalogue.count_images(position) == len(keys)
        picked = [dataset.rows[row].key for row in catalogue.pick(position, c.synset, 3)]
        assert len(set(picked)) == min(3, len(keys))
        assert set(picked) <= keys


def test_an_index_without_any_class_gives_an_empty_catalogue(toy_dataset: Path) -> None:
    dataset = Dataset.open(str(toy_dataset))
    catalogue = Catalogue.of(dataset.index.slice(0, 0), dataset.vocabulary)
    assert catalogue.count_images(0) == 0
    assert catalogue.pick(0, "a", 3).tolist() == []


def test_objects_of_the_class_are_drawn_a_green_and_b_red(tmp_path: Path) -> None:
    images = [coco_image(1, width=400, height=300), coco_image(2, width=400, height=300)]
    box = {"bbox": [100, 100, 200, 100], "area": 20000}
    polygon = [[100, 100, 300, 100, 300, 200, 100, 200]]
    objects = [
        coco_object(1, 1, **box, segmentation=polygon),
        coco_object(2, 2, **box, segmentation=[], category_id=3),
    ]
    write_coco(tmp_path / "coco", images, objects)
    prepare_plainly(tmp_path / "data", f"coco=coco:{tmp_path}/coco")
    dataset = Dataset.open(f"{tmp_path}/data")
    catalogue = Catalogue.of(dataset.index, dataset.vocabulary)
    for name, color, other in (("cat", GREENS[0], REDS[0]), ("potted plant", REDS[0], GREENS[0])):
        position = dataset.vocabulary.find(name)
        assert position is not None
        (sample,) = class_samples(dataset, catalogue, position, 3)
        assert (sample.height, sample.width) == (LONG_EDGE * 3 // 4, LONG_EDGE)
        picture = decode_rgb(base64.b64decode(sample.uri.partition(",")[2]), name).astype(int)
        changed = (abs(picture - picture[0, 0]) > 8).any(axis=2)
        assert 0.005 < changed.mean() < 0.3
        corner = picture[90, 94]
        assert abs(corner - color).sum() < abs(corner - other).sum()


def test_boxes_are_counted_on_so_many_images_and_no_more(toy_dataset: Path) -> None:
    dataset = Dataset.open(str(toy_dataset))
    catalogue = Catalogue.of(dataset.index, dataset.vocabulary)
    few, every = count_boxes(dataset, catalogue, 12), count_boxes(dataset, catalogue, 10_000)
    assert sum(c.counted for c in few) <= 12
    assert [c.images for c in few] == [c.counted for c in every]
    for counts in every:
        told = dataset.manifest.counts[counts.split][counts.part]
        assert {source: int(np.sum(boxes)) for source, boxes in counts.boxes.items()} == {
            source: told.get(f"{source}_objects", 0) for source in counts.boxes
        }
        assert b"<svg" in box_histogram(counts, dict.fromkeys(counts.boxes, "blue"))


@pytest.mark.parametrize(
    ("dataset", "out", "page"),
    [
        ("/a/data", None, "/a/data.html"),
        ("file:///a/data", None, "/a/data.html"),
        ("s3://bucket/a/data", None, "data.html"),
        ("/a/data", "b/page.html", "b/page.html"),
        ("/a/data", "b/", "b/index.html"),
        ("/a/data", "s3://bucket/b", "s3://bucket/b/index.html"),
    ],
)
def test_where_the_page_goes(dataset: str, out: str | None, page: str) -> None:
    assert page_uri(dataset, out) == page


def test_nothing_to_show_is_refused() -> None:
    with pytest.raises(ConfigError, match="--samples 0"):
        BrowseOptions(samples=0)


@pytest.mark.filterwarnings("error")
def test_a_dataset_without_objects_has_a_page_and_no_warning(tmp_path: Path) -> None:
    write_coco(tmp_path / "mine", [coco_image(n) for n in (1, 2)], [])
    prepare_plainly(tmp_path / "ds", f"mine=coco:{tmp_path}/mine")
    assert "2 images" in read_page(browse(f"{tmp_path}/ds", None, BrowseOptions())).words


def test_an_upright_image_is_drawn_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    write_coco(tmp_path / "mine", [coco_image(1, width=30, height=40)], [coco_object(5, 1)])
    Image.new("RGB", (40, 30)).save(tmp_path / "mine/train2017/000000000001.jpg", exif=exif)
    prepare_plainly(tmp_path / "ds", f"mine=coco:{tmp_path}/mine")
    dataset = Dataset.open(f"{tmp_path}/ds")
    (sample,) = class_samples(dataset, Catalogue.of(dataset.index, dataset.vocabulary), 0, 1)
    assert (sample.width, sample.height) == (LONG_EDGE * 3 // 4, LONG_EDGE)
