"""Parts of a dataset, what their files are called, and what is said where an export cannot be what was asked for."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from PIL import Image

from data_prep.export.categories import categories
from data_prep.export.export import export
from data_prep.export.names import FileNames, extension
from data_prep.export.options import ExportOptions
from data_prep.export.report import describe_export
from data_prep.export.samples import Sample, read_samples
from data_prep.format.reader import Dataset
from data_prep.format.vocabulary import Vocabulary
from data_prep.prepare.options import PrepareOptions
from data_prep.prepare.prepare import prepare
from data_prep.prepare.vocabulary import read_synset_table
from data_prep.sources.options import parse_sources
from data_prep.storage.errors import ConfigError, DataError
from data_prep.storage.storage import write
from tests.data_prep.small_s3 import SmallStore
from tests.data_prep.small_sources import CATEGORIES, coco_image, coco_object, jpeg, prepare_plainly, write_coco


def document(folder: Path, split: str = "train") -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / f"annotations/instances_{split}.json").read_text())
    return found


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A dataset of source `mine`: images 1 (a cat), 2 (a potted plant), 3 (both), 4 (nothing), and 5 for validation."""
    objects = [coco_object(1, 1), coco_object(2, 2, category_id=3), coco_object(3, 3), coco_object(4, 3, category_id=3)]
    write_coco(tmp_path / "mine", [coco_image(number) for number in range(1, 5)], objects)
    write_coco(tmp_path / "mine", [coco_image(5)], [coco_object(5, 5)], "val")
    prepare_plainly(tmp_path / "dataset", f"mine=coco:{tmp_path}/mine")
    return tmp_path / "dataset"


@pytest.mark.parametrize("name", ["potted plant", read_synset_table(None)["potted plant"]])
def test_a_part_by_class_holds_its_objects_and_their_images(small: Path, tmp_path: Path, name: str) -> None:
    export(ExportOptions(str(small), f"{tmp_path}/out", classes=(name,)))
    found = document(tmp_path / "out")
    assert [category["id"] for category in found["categories"]] == [3]
    assert {image["id"] for image in found["images"]} == {2, 3}
    assert {a["id"] for a in found["annotations"]} == {2, 4}
    assert len(list((tmp_path / "out/train").iterdir())) == 2
    assert not (tmp_path / "out/val").exists()


def test_a_part_by_split_is_that_split_alone(small: Path, tmp_path: Path) -> None:
    exported = export(ExportOptions(str(small), f"{tmp_path}/out", split="val"))
    assert [(each.split, each.images, each.annotations, each.masks) for each in exported.splits] == [("val", 1, 1, 1)]
    assert sorted(path.name for path in (tmp_path / "out").rglob("*.*")) == ["000000000005.jpg", "instances_val.json"]


def test_images_without_objects_are_exported(small: Path, tmp_path: Path) -> None:
    export(ExportOptions(str(small), f"{tmp_path}/out"))
    assert {image["id"] for image in document(tmp_path / "out")["images"]} == {1, 2, 3, 4}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"split": "test"}, "--split test: the dataset has train, val"),
        ({"source": "coco"}, "--source coco: the dataset has mine"),
        ({"classes": ("potted plants",)}, "--classes potted plants: .* do you mean potted plant"),
        ({"classes": ("zzz",)}, "--classes zzz: .*`maskx data show` lists"),
    ],
)
def test_what_is_not_there_is_told_with_what_is(
    small: Path, tmp_path: Path, wrong: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        export(ExportOptions(str(small), f"{tmp_path}/out", **wrong))
    assert not (tmp_path / "out").exists()


def test_nothing_to_export_is_told(small: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="source mine has no image of that split with such an object"):
        export(ExportOptions(str(small), f"{tmp_path}/out", split="val", classes=("potted plant",)))


def test_of_several_sources_one_must_be_named(toy_dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has sources coco, vg; say whose annotations, as in --source coco"):
        export(ExportOptions(str(toy_dataset), f"{tmp_path}/out"))


def test_a_folder_with_files_is_not_touched(small: Path, tmp_path: Path) -> None:
    write(tmp_path / "out/thesis.txt", b"years of work")
    with pytest.raises(ConfigError, match="holds other files"):
        export(ExportOptions(str(small), f"{tmp_path}/out"))
    with pytest.raises(ConfigError, match="must be a folder or file on disk"):
        export(ExportOptions(str(small), "s3://bucket/out"))


def test_images_are_linked_to_their_originals_and_copied_where_these_have_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also from another working folder."""
    write_coco(tmp_path / "mine", [coco_image(1), coco_image(2)], [coco_object(1, 1), coco_object(2, 2)])
    monkeypatch.chdir(tmp_path)
    prepare(PrepareOptions(sources=("mine=coco:mine",), out="dataset"))
    original = tmp_path / "mine/train2017/000000000001.jpg"
    (tmp_path / "mine/train2017/000000000002.jpg").write_bytes(jpeg(3))
    monkeypatch.chdir(tmp_path / "mine")
    options = ExportOptions(f"{tmp_path}/dataset", f"{tmp_path}/out", images="link")
    exported = export(options)
    link, copy = (tmp_path / f"out/train/00000000000{number}.jpg" for number in (1, 2))
    assert (link.is_symlink(), link.resolve()) == (True, original.resolve())
    assert (copy.is_symlink(), copy.read_bytes()) == (False, jpeg(2))
    assert "1 of 2 images are copies: their originals are not where they were" in describe_export(options, exported)


@pytest.mark.parametrize("images", ["copy", "link", "none"])
def test_a_dataset_in_object_storage_is_exported_to_disk(
    plain_store: SmallStore, small: Path, tmp_path: Path, images: Any
) -> None:
    for path in small.rglob("*"):
        if path.is_file():
            write(f"s3://bucket/dataset/{path.relative_to(small)}", path.read_bytes())
    export(ExportOptions("s3://bucket/dataset", f"{tmp_path}/out", images=images))
    export(ExportOptions(str(small), f"{tmp_path}/expected", images=images))
    found, expected = (
        {p.relative_to(f): p.read_bytes() for p in f.rglob("*.*")} for f in (tmp_path / "out", tmp_path / "expected")
    )
    assert found == expected
    assert len(found) == (2 if images == "none" else 7)
    assert len(plain_store.seen("GET", ".tar")) <= (5 if images == "none" else 2)


def test_ids_that_are_there_twice_become_new_ones(tmp_path: Path) -> None:
    """Two annotation files of one source may both count from 1: their images got ids when they were prepared."""
    sources = []
    for number in (1, 2):
        folder = tmp_path / f"export{number}"
        objects = [coco_object(n, 1, bbox=[n, number, 5.0, 5.0], segmentation=None) for n in (1, 2)]
        write_coco(folder, [coco_image(1, file_name=f"{number}.jpg")], objects)
        (folder / f"train2017/{number}.jpg").write_bytes(jpeg(number))
        sources.append(f"mine=coco:{folder}/annotations/instances_train2017.json,{folder}/train2017")
    prepare_plainly(tmp_path / "dataset", *sources)
    options = ExportOptions(str(tmp_path / "dataset"), f"{tmp_path}/out")
    exported = export(options)
    found = document(tmp_path / "out")["annotations"]
    assert sorted(a["id"] for a in found) == [1, 2, 3, 4]
    assert {a["image_id"] for a in found} == {image["id"] for image in document(tmp_path / "out")["images"]}
    assert {tuple(a["bbox"][:2]) for a in found} == {(1, 1), (2, 1), (1, 2), (2, 2)}
    assert "2 objects have new ids" in describe_export(options, exported)


def test_what_to_give_prepare_is_said(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for images, wanted in (
        ("copy", "maskx data prepare --source mine=coco:out-copy --out DATASET"),
        ("none", "--source mine@val=coco:out-none/annotations/instances_val.json,IMAGES --out"),
    ):
        options = ExportOptions(str(small), f"out-{images}", images=images)  # type: ignore[arg-type]
        text = describe_export(options, export(options))
        assert wanted in text
        assert "train       4        4      4  " in text
    assert [files.annotations for files in parse_sources(("mine=coco:out-copy",))] == [  # type: ignore[union-attr]
        "out-copy/annotations/instances_train.json",
        "out-copy/annotations/instances_val.json",
    ]


def test_images_that_were_asked_to_be_read_upright_are_so_again(tmp_path: Path) -> None:
    write_coco(tmp_path / "mine", [coco_image(1)], [coco_object(1, 1)])
    path = tmp_path / "mine/train2017/000000000001.jpg"
    upside_down = Image.Exif()
    upside_down[0x0112] = 3
    Image.open(path).save(path, exif=upside_down)
    prepare(PrepareOptions((f"mine=coco:{tmp_path}/mine",), f"{tmp_path}/dataset", exif="apply"))
    options = ExportOptions(f"{tmp_path}/dataset", f"{tmp_path}/out")
    assert f"--source mine=coco:{tmp_path}/out --exif apply --out DATASET" in describe_export(options, export(options))


def sample(small: Path, name: str) -> Sample:
    dataset = Dataset.open(str(small))
    first = next(iter(read_samples(dataset, dataset.rows[:1], True)))
    return first._replace(record=msgspec.structs.replace(first.record, names={"mine": name}))


@pytest.mark.parametrize("name", ["", "/etc/x", "../x", "a/../../x", "a//b", "x\0", "n" * 256, "./x"])
def test_a_name_that_leads_out_is_not_used(small: Path, name: str) -> None:
    given = sample(small, name)
    assert FileNames("mine", lvis=False).name(given) == f"{given.row.key}.jpg"


def test_no_two_images_have_one_name(small: Path) -> None:
    names = FileNames("mine", lvis=False)
    key = sample(small, "").row.key
    assert names.name(sample(small, "a/b.jpg")) == "a/b.jpg"
    assert names.name(sample(small, "a/b.jpg")) == f"{key}.jpg"  # it is there already
    for name in ("b.jpg", "annotations/lvis_v1_train.json"):
        assert FileNames("mine", lvis=True).name(sample(small, name)) == f"train/{key}.jpg"
    for taken, wanted in (("a", "a/b.jpg"), ("c/d", "c")):  # a file where a folder must be, and the other way round
        names = FileNames("mine", lvis=False)
        names.name(sample(small, taken))
        assert names.name(sample(small, wanted)) == f"{key}.jpg"


def test_the_extension_is_that_of_the_bytes() -> None:
    found = [extension(jpeg(kind=kind)) for kind in ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF")]
    assert found == ["jpg", "png", "webp", "tif", "bmp", "gif"]
    assert extension(b"") == extension(b"nothing") == "jpg"


def test_a_dataset_of_an_earlier_format_has_ids_where_there_is_one_source(small: Path, toy_dataset: Path) -> None:
    for uri, source, known in ((small, "mine", [1, 3]), (toy_dataset, "vg", None)):
        dataset = Dataset.open(str(uri))
        whose = next(each for each in dataset.manifest.sources if each.name == source)
        old = Vocabulary(tuple(map(_without_ids, dataset.vocabulary.classes)))
        dataset.__dict__["vocabulary"] = old
        ids = [category.id for category in categories(dataset, whose, ())]
        assert ids == (known or list(range(1, len(ids) + 1)))
    assert [category["id"] for category in CATEGORIES] == [1, 3]


def _without_ids(c: Any) -> Any:
    sources = {name: msgspec.structs.replace(own, ids=()) for name, own in c.sources.items()}
    return msgspec.structs.replace(c, sources=sources)
