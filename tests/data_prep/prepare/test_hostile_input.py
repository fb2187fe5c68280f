"""Names from the data lead nowhere but into the dataset, and no file makes prepare allocate without bounds."""

import io
import json
import re
import struct
import tarfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from data_prep.format.images import MAX_PIXELS
from data_prep.format.reader import Dataset
from data_prep.format.records import KEY
from data_prep.format.rejects import Reject
from data_prep.sources.options import parse_sources
from data_prep.storage.errors import ConfigError
from tests.data_prep.rejects import read_rejects
from tests.data_prep.small_sources import (
    coco_image,
    coco_object,
    jpeg,
    prepare_plainly,
    vg_image,
    vg_object,
    write_coco,
    write_vg,
)

MEMBER = re.compile(rf"{KEY.pattern}\.(jpg|png|json)")
SIDE = 10_000
TOO_MANY_ROWS = MAX_PIXELS // SIDE + 1


def everything(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def amend(folder: Path, images: list[dict[str, Any]]) -> None:
    """Give the training file other image records, whatever files there are."""
    path = folder / "annotations/instances_train2017.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "images": images}))


def rejected(dataset: Path) -> dict[int, Reject]:
    return {reject.id: reject for reject in read_rejects(f"{dataset}/rejects.parquet") if reject.kind == "photograph"}


def check_members(dataset: Path) -> None:
    """Every tar holds plain files with keys for names, so that unpacking it writes into one folder."""
    for shard in Dataset.open(str(dataset)).manifest.shards:
        assert re.fullmatch(r"[a-z]+/[a-z0-9+]+-\d{6}\.tar", shard.path)
        with tarfile.open(dataset / shard.path) as tar:
            assert all(member.isreg() and MEMBER.fullmatch(member.name) for member in tar)


@pytest.mark.parametrize(
    "name",
    [
        "../../secret.jpg",
        "/{folder}/../nowhere.jpg",
        "file:///nowhere/x.jpg",
        "https://example.org/000000000001.jpg",
        "..\\..\\secret.jpg",
        "%2e%2e/secret.jpg",
        "a/../../../secret.jpg",
        "..",
        "",
        ".",
        "x\0.jpg",
        "a" * 300,
        "a/" * 3000,
    ],
)
def test_a_images_file_name_cannot_name_a_file_elsewhere(name: str, tmp_path: Path) -> None:
    (tmp_path / "secret.jpg").write_bytes(jpeg(7))
    write_coco(tmp_path / "coco", [coco_image(1)], [coco_object(1, 1)])
    amend(tmp_path / "coco", [coco_image(1), coco_image(2, file_name=name.format(folder=tmp_path))])
    before = everything(tmp_path)
    prepare_plainly(tmp_path / "out", f"coco=coco:{tmp_path}/coco")
    assert all(path.split("/")[0] == "out" for path in everything(tmp_path) - before)
    assert rejected(tmp_path / "out")[2].reason in {"bad_file_name", "missing_file"}
    assert [row.key for row in Dataset.open(f"{tmp_path}/out").rows] == ["coco-000000000001"]


def test_keys_from_any_ids_are_names_of_files(tmp_path: Path) -> None:
    ids = [1, 0, 10**12, -5, 2**62, -(2**62)]
    images = [coco_image(number) for number in range(len(ids))]
    write_coco(tmp_path / "coco", images, [coco_object(1, 1)])
    amend(tmp_path / "coco", [{**image, "id": i} for image, i in zip(images, ids, strict=True)])
    write_vg(tmp_path / "vg", [vg_image(i) for i in ids[:3]], {i: [vg_object(1, ["../../evil.n.01"])] for i in ids[:3]})
    before = everything(tmp_path)
    prepare_plainly(tmp_path / "out", f"coco=coco:{tmp_path}/coco", f"vg=vg:{tmp_path}/vg")
    assert all(path.split("/")[0] == "out" for path in everything(tmp_path) - before)
    assert read_rejects(f"{tmp_path}/out/rejects.parquet") == []
    assert len({row.key for row in Dataset.open(f"{tmp_path}/out").rows}) == 9
    check_members(tmp_path / "out")


@pytest.mark.parametrize("name", ["../../evil", 2**70, "", "0" * 500])
def test_an_id_that_is_a_name_is_mapped_and_kept(name: object, tmp_path: Path) -> None:
    write_coco(tmp_path / "coco", [coco_image(1), coco_image(2)], [])
    amend(tmp_path / "coco", [coco_image(1), {**coco_image(2), "id": name or "."}])
    prepare_plainly(tmp_path / "out", f"coco=coco:{tmp_path}/coco")
    records = [dataset.read_record(row) for dataset in [Dataset.open(f"{tmp_path}/out")] for row in dataset.rows]
    assert {record.original_ids.get("coco") for record in records} == {None, str(name or ".")}
    check_members(tmp_path / "out")


@pytest.mark.parametrize("number", [1.5, None, [1], "", True])
def test_an_id_that_is_neither_number_nor_name_is_rejected(number: object, tmp_path: Path) -> None:
    write_coco(tmp_path / "coco", [coco_image(1)], [])
    amend(tmp_path / "coco", [coco_image(1), {**coco_image(1), "id": number}])
    prepare_plainly(tmp_path / "out", f"coco=coco:{tmp_path}/coco")
    assert rejected(tmp_path / "out")[-1].reason == "malformed"
    check_members(tmp_path / "out")


@pytest.mark.parametrize("name", ["../x", "a/b", "A", "x.y", ""])
def test_a_sources_name_and_split_cannot_lead_out(name: str, tmp_path: Path) -> None:
    for option in (f"{name}=coco:{tmp_path}", f"x@{name}=coco:{tmp_path}/a.json,{tmp_path}"):
        with pytest.raises(ConfigError, match=r"no name of a|write NAME=coco:FOLDER"):
            parse_sources((option,))


def huge_png() -> bytes:
    """A true PNG beyond 90 megapixels in a few kilobytes."""
    buffer = io.BytesIO()
    Image.new("1", (SIDE, TOO_MANY_ROWS)).save(buffer, "PNG")
    return buffer.getvalue()


def huge_jpeg() -> bytes:
    """An image whose header says that it is as large as a JPEG can be."""
    data = jpeg(1)
    frame = data.index(b"\xff\xc0")
    return data[: frame + 5] + struct.pack(">HH", 65_500, 65_500) + data[frame + 9 :]


@pytest.mark.parametrize("data", [huge_png(), huge_jpeg()], ids=["png", "jpeg"])
@pytest.mark.parametrize("listed", [{}, {"width": SIDE, "height": TOO_MANY_ROWS}], ids=["listed small", "listed huge"])
def test_beyond_90_megapixels_is_rejected(data: bytes, listed: dict[str, int], tmp_path: Path) -> None:
    write_coco(tmp_path / "coco", [coco_image(1), coco_image(2)], [])
    amend(tmp_path / "coco", [coco_image(1), {**coco_image(2), **listed}])
    (tmp_path / "coco/train2017/000000000002.jpg").write_bytes(data)
    prepare_plainly(tmp_path / "out", f"coco=coco:{tmp_path}/coco")
    reject = rejected(tmp_path / "out")[2]
    assert reject.reason == ("too_large" if listed else "unreadable")
    words = (f"{SIDE}×{TOO_MANY_ROWS}",) if listed else (f"{SIDE} × {TOO_MANY_ROWS} pixels", "exceeds limit")
    assert any(each in reject.excerpt for each in words), reject.excerpt
