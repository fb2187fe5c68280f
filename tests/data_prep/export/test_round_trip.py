"""What is exported is prepared again to the same dataset, and is what the original files were."""

import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from data_prep.export.export import export
from data_prep.export.options import ExportOptions
from data_prep.format.index import IndexRow
from data_prep.format.reader import Dataset
from data_prep.format.records import Record
from tests.data_prep.conftest import Prepare
from tests.data_prep.prepare.test_ap_from_shards import ap, perturbed
from tests.data_prep.prepare.test_prepare import contents
from tests.data_prep.small_sources import (
    SIZE,
    jpeg,
    lvis_image,
    lvis_object,
    prepare_plainly,
    vg_image,
    vg_object,
    write_lvis,
    write_vg,
)


def records(uri: Path) -> dict[str, tuple[Record, bytes]]:
    """Each image's record and file by its key."""
    dataset = Dataset.open(str(uri))
    return {row.key: (dataset.read_record(row), dataset.read_image(row)) for row in dataset.rows}


def rows(uri: Path) -> dict[str, IndexRow]:
    return {row.key: row for row in Dataset.open(str(uri)).rows}


_names = st.text("abcü ,", min_size=1, max_size=3).filter(str.strip)
_files = st.lists(st.sampled_from(["a/x.jpg", "b/x.jpg", "ü ö.jpg", "a.b.jpeg", "x.png"]), unique=True, min_size=1)
_boxes = st.tuples(st.integers(0, 20), st.integers(0, 15), st.integers(1, 20), st.integers(1, 15))


_ids_of_any_kind: st.SearchStrategy[Callable[[int], Any]] = st.sampled_from(
    [int, lambda n: f"ü-{n}", lambda n: 2**53 + n, lambda n: -n]
)


@st.composite
def segmentations(draw: st.DrawFn, box: tuple[int, int, int, int]) -> Any:
    """A polygon, run lengths, or none: most of the box."""
    kind = draw(st.sampled_from(["polygon", "counts", "string", "none"]))
    x, y, w, h = box
    if kind == "polygon":
        less = draw(st.floats(0, 0.2))
        return [[x + less, y + less, x + w, y, x + w - less, y + h, x, y + h - less]]
    bitmap = np.zeros((SIZE[1], SIZE[0]), np.uint8, order="F")
    bitmap[y : y + h, x : x + w] = 1
    encoded = coco_mask.encode(bitmap)
    if kind == "string":
        return {"size": encoded["size"], "counts": encoded["counts"].decode()}
    edges = np.flatnonzero(np.diff(bitmap.ravel(order="F").astype(int), prepend=0, append=-1))
    return {"size": encoded["size"], "counts": np.diff(edges, prepend=0).tolist()} if kind == "counts" else None


@st.composite
def documents(draw: st.DrawFn, split: str, categories: list[dict[str, Any]]) -> dict[str, Any]:
    """A COCO-format document with an object at least, and none twice: an exact copy would be left out."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    as_text = draw(st.booleans())
    for number, name in enumerate(draw(_files)):
        identity = f"ü {number}" if as_text else number
        photo = f"http://farm1.staticflickr.com/2/{number}{len(split)}_ab_z.jpg"
        more: dict[str, Any] = {"license": 3} if draw(st.booleans()) else {}
        more |= {"flickr_url": photo} if draw(st.booleans()) else {}
        images.append({"id": identity, "file_name": name, "width": SIZE[0], "height": SIZE[1], **more})
        for box in draw(st.lists(_boxes, min_size=number == 0, max_size=2, unique=True)):
            own = draw(_ids_of_any_kind)(10 * len(annotations) + 7)
            fields: dict[str, Any] = {"id": own, "image_id": identity, "bbox": box}
            fields |= {"category_id": draw(st.sampled_from(categories))["id"], "area": draw(st.floats(0.5, 1e6))}
            fields |= {"iscrowd": draw(st.integers(0, 1)), "segmentation": draw(segmentations(box))}
            fields |= draw(st.sampled_from([{}, {"provenance": {"made_by": "a model", "score": 0.5}}]))
            annotations.append(fields)
    licenses = [{"id": 3, "name": "free", "url": draw(st.sampled_from(["", "http://a.b/c"]))}]
    return {"images": images, "annotations": annotations, "categories": categories, "licenses": licenses}


@st.composite
def sources(draw: st.DrawFn) -> dict[str, dict[str, Any]]:
    """A COCO-format document for each of one or two splits, with the same categories."""
    numbers = draw(st.lists(st.integers(0, 2**53), unique=True, min_size=1, max_size=3))
    names = draw(st.lists(_names, unique=True, min_size=len(numbers), max_size=len(numbers)))
    as_listed, parent = draw(_ids_of_any_kind), draw(st.sampled_from([{}, {"supercategory": "thing"}]))
    categories = [{"id": as_listed(n), "name": name, **parent} for n, name in zip(numbers, names, strict=True)]
    splits = draw(st.sampled_from([["train"], ["train", "val"]]))
    return {split: draw(documents(split, categories)) for split in splits}


def write_source(folder: Path, source: dict[str, dict[str, Any]]) -> None:
    (folder / "annotations").mkdir(parents=True)
    for split, document in source.items():
        (folder / f"annotations/instances_{split}.json").write_text(json.dumps(document))
        for number, image in enumerate(document["images"]):
            path = folder / split / image["file_name"]
            path.parent.mkdir(parents=True, exist_ok=True)
            seed = 2 * number + (split == "val")
            path.write_bytes(jpeg(seed, kind="PNG" if path.suffix == ".png" else "JPEG"))


def ids_and_parents(source: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Every id of a source as its files write it: those of categories by name with their supercategories, those of
    images by file, those of annotations with their image's and category's."""
    return {
        split: (
            {c["name"]: (c["id"], c.get("supercategory")) for c in document["categories"]},
            {i["file_name"]: i["id"] for i in document["images"]},
            {(a["id"], a["image_id"], a["category_id"]) for a in document["annotations"]},
        )
        for split, document in source.items()
    }


@settings(max_examples=15)
@given(sources())
def test_exported_and_prepared_again_it_is_the_same(source: dict[str, dict[str, Any]]) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_source(folder / "original", source)
        prepare_plainly(folder / "first", f"mine=coco:{folder}/original")
        export(ExportOptions(f"{folder}/first", f"{folder}/exported"))
        assert ids_and_parents(source) == ids_and_parents(
            {
                split: json.loads((folder / f"exported/annotations/instances_{split}.json").read_text())
                for split in source
            }
        )
        prepare_plainly(folder / "second", f"mine=coco:{folder}/exported")
        assert records(folder / "first") == records(folder / "second")
        assert rows(folder / "first") == rows(folder / "second")
        assert Dataset.open(f"{folder}/first").vocabulary == Dataset.open(f"{folder}/second").vocabulary
        export(ExportOptions(f"{folder}/second", f"{folder}/again"))
        assert contents(folder / "exported") == contents(folder / "again")


def test_exported_it_is_what_the_original_was(toy_original: Path, toy_dataset: Path, tmp_path: Path) -> None:
    export(ExportOptions(str(toy_dataset), f"{tmp_path}/out", source="coco", images="none"))
    for split in ("train", "val"):
        original = COCO(str(toy_original / f"coco/annotations/instances_{split}2017.json"))
        ours = COCO(str(tmp_path / f"out/annotations/instances_{split}.json"))
        assert [c["name"] for c in ours.loadCats(ours.getCatIds())] == [
            c["name"] for c in original.loadCats(original.getCatIds())
        ]
        assert ours.getCatIds() == original.getCatIds()
        for image in ours.loadImgs(ours.getImgIds()):
            (known,) = original.loadImgs(image["id"])
            assert all(image[what] == known[what] for what in ("file_name", "width", "height"))
        assert len(ours.anns) > 20
        for number, found in ours.anns.items():
            known = original.anns[number]
            assert all(found[what] == known[what] for what in ("bbox", "area", "iscrowd", "category_id", "image_id"))
            assert (ours.annToMask(found) == original.annToMask(known)).all()


@pytest.mark.parametrize("kind", ["bbox", "segm"])
def test_ap_is_the_official_ap(toy_original: Path, toy_dataset: Path, tmp_path: Path, kind: str) -> None:
    export(ExportOptions(str(toy_dataset), f"{tmp_path}/out", source="coco", split="val", images="none"))
    official = COCO(str(toy_original / "coco/annotations/instances_val2017.json"))
    ours = COCO(str(tmp_path / "out/annotations/instances_val.json"))
    detections = perturbed(official)
    assert np.abs(ap(official, detections, kind) - ap(ours, detections, kind)).max() <= 1e-9


def test_images_come_verbatim(toy_original: Path, toy_dataset: Path, tmp_path: Path) -> None:
    export(ExportOptions(str(toy_dataset), f"{tmp_path}/out", source="coco"))
    for split in ("train", "val"):
        copies = list((tmp_path / "out" / split).iterdir())
        assert len(copies) > 10
        assert all(
            copy.read_bytes() == (toy_original / f"coco/{split}2017" / copy.name).read_bytes() for copy in copies
        )


def test_lvis_stays_lvis(tmp_path: Path) -> None:
    """Which classes were looked for in an image is said in LVIS's format alone."""
    images = [lvis_image(1, neg_category_ids=[4]), lvis_image(2, "val2017", not_exhaustive_category_ids=[1, 2])]
    write_lvis(tmp_path / "lvis", images, [lvis_object(5, 1), lvis_object(6, 2, category_id=2)])
    write_lvis(tmp_path / "lvis", [lvis_image(3)], [lvis_object(5, 3)], "val")
    prepare_plainly(tmp_path / "first", f"lvis=lvis:{tmp_path}/lvis")
    export(ExportOptions(f"{tmp_path}/first", f"{tmp_path}/out"))
    assert (tmp_path / "out/val2017/000000000002.jpg").exists()
    prepare_plainly(tmp_path / "second", f"lvis=lvis:{tmp_path}/out")
    assert records(tmp_path / "first") == records(tmp_path / "second")
    assert any(record.negative for record, _ in records(tmp_path / "second").values())
    assert Dataset.open(f"{tmp_path}/first").vocabulary == Dataset.open(f"{tmp_path}/second").vocabulary


def test_visual_genome_becomes_a_coco_file_and_says_what_that_cannot(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    objects = {1: [vg_object(7), vg_object(8, ["bag.n.06"])], 2: [vg_object(9)]}
    write_vg(tmp_path / "vg", [vg_image(1), vg_image(2)], objects)
    prepare_plainly(tmp_path / "first", f"vg=vg:{tmp_path}/vg", classes=1)
    export(ExportOptions(f"{tmp_path}/first", f"{tmp_path}/out"))
    assert "annotated exhaustively, which those of source vg are not" in caplog.text
    document = json.loads((tmp_path / "out/annotations/instances_train.json").read_text())
    assert document["categories"] == [
        {"id": 1, "name": "tree.n.01", "synset": "tree.n.01"},
        {"id": 2, "name": "bag.n.06", "synset": "bag.n.06"},  # outside the vocabulary, and in the shards
    ]
    prepare_plainly(tmp_path / "second", f"vg=coco:{tmp_path}/out")
    assert records(tmp_path / "first") == records(tmp_path / "second")


def test_both_sources_are_exported_each_by_itself(prepare_toy: Prepare, toy_dataset: Path, tmp_path: Path) -> None:
    export(ExportOptions(str(toy_dataset), f"{tmp_path}/vg", source="vg"))
    export(ExportOptions(str(toy_dataset), f"{tmp_path}/coco", source="coco"))
    for source in ("coco", "vg"):
        prepare_plainly(tmp_path / f"{source}_again", f"{source}=coco:{tmp_path}/{source}")
        before = {r.ids[source]: r.objects[source] for r, _ in records(toy_dataset).values() if source in r.ids}
        after = {r.ids[source]: r.objects[source] for r, _ in records(tmp_path / f"{source}_again").values()}
        assert before == after
