"""Files in another encoding, compressed, or with numbers that JSON lacks are read as the plain file is."""

import gzip
import json
import math
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_prep.plan.plan import MappedFiles, Plan, PlannedFile
from data_prep.sources.json_files import has_quoted_constants, map_file
from data_prep.sources.layout import open_array, open_object
from data_prep.sources.zips import unpacked
from data_prep.storage.errors import DataError
from tests.data_prep.rejects import read_rejects
from tests.data_prep.small_sources import coco_image, coco_object, prepare_plainly, write_coco

pytestmark = pytest.mark.usefixtures("scratch")

ENCODINGS = ("utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32")


def coco_file(folder: Path) -> Path:
    write_coco(folder, [coco_image(1), coco_image(2)], [coco_object(1, 1), coco_object(2, 2)])
    return folder / "annotations/instances_train2017.json"


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("compressed", [False, True])
def test_an_encoded_file_gives_the_dataset_that_the_plain_one_gives(
    tmp_path: Path, encoding: str, compressed: bool
) -> None:
    path = coco_file(tmp_path / "coco")
    plain = prepare_plainly(tmp_path / "plain", f"own=coco:{path},{tmp_path}/coco/train2017")
    data = path.read_text().encode(encoding)
    path.write_bytes(gzip.compress(data) if compressed else data)
    assert prepare_plainly(tmp_path / "out", f"own=coco:{path},{tmp_path}/coco/train2017") == plain


@given(st.text(min_size=0, max_size=20), st.sampled_from(ENCODINGS), st.booleans(), st.booleans())
@settings(suppress_health_check=list(HealthCheck), max_examples=60, deadline=None)
def test_any_text_is_read_from_any_encoding(
    tmp_path_factory: pytest.TempPathFactory, text: str, encoding: str, compressed: bool, zipped: bool
) -> None:
    path = tmp_path_factory.mktemp("encoded") / "file.json"
    document = json.dumps({"text": text.encode("utf-8", "replace").decode()}, ensure_ascii=False)
    data = document.encode(encoding)
    data = gzip.compress(data) if compressed else data
    path.write_bytes(data)
    if zipped:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("train/any.json", data)
    assert unpacked(str(path)).read_text("utf-8") == document


numbers = st.floats() | st.integers(-9, 9) | st.sampled_from([math.nan, math.inf, -math.inf])
texts = st.text(max_size=4) | st.sampled_from(
    [
        "NaN", '"NaN', "\\", '\\"', "Infinity", "-Infinity,", "[NaN]",
        "caf\udce9", "\ud83d", "\udce9\udce8", "\ud83d\U0001f600\ude00", "\U0001f600", "\\ud83d", "\\\udce9",
    ]
)  # fmt: skip
values = st.recursive(
    numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=10,
)


def quoted(value: Any) -> Any:
    """The value as it is read: numbers that JSON lacks are text, and halves of surrogate pairs are U+FFFD."""
    if isinstance(value, str):
        return re.sub("[\ud800-\udfff]", "\ufffd", value)
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, list):
        return [quoted(each) for each in value]
    return {quoted(name): quoted(each) for name, each in value.items()} if isinstance(value, dict) else value


@given(st.lists(values, min_size=1, max_size=5), st.sampled_from([None, 1]))
@settings(suppress_health_check=list(HealthCheck), max_examples=150, deadline=None)
def test_what_json_lacks_becomes_text_and_nothing_else_changes(
    tmp_path_factory: pytest.TempPathFactory, items: list[Any], indent: int | None
) -> None:
    path = tmp_path_factory.mktemp("numbers") / "file.json"
    path.write_text(json.dumps(items, indent=indent))
    buffer, _ = open_array(str(path), "of values")
    assert json.loads(buffer[:]) == quoted(items)
    assert has_quoted_constants(str(path)) == (quoted(items) != items)


def test_a_file_with_nan_is_read_and_only_its_record_is_rejected(tmp_path: Path) -> None:
    path = coco_file(tmp_path / "coco")
    document = json.loads(path.read_text())
    document["annotations"][0]["bbox"][2] = math.nan
    path.write_text(json.dumps(document))
    prepare_plainly(tmp_path / "out", f"own=coco:{path},{tmp_path}/coco/train2017")
    (reject,) = read_rejects(f"{tmp_path}/out/rejects.parquet")
    assert (reject.kind, reject.reason) == ("object", "malformed")
    assert '"NaN"' in reject.excerpt


def test_a_file_name_that_is_no_text_costs_its_image(tmp_path: Path) -> None:
    path = coco_file(tmp_path / "coco")
    path.write_text(path.read_text().replace("000000000001.jpg", "caf\\udce9.jpg"))
    prepare_plainly(tmp_path / "out", f"own=coco:{path},{tmp_path}/coco/train2017")
    (reject,) = read_rejects(f"{tmp_path}/out/rejects.parquet")
    assert (reject.kind, reject.reason, reject.id) == ("photograph", "missing_file", 1)
    assert "caf\ufffd.jpg: a character of it is no text; rename the file" in reject.excerpt


def test_a_worker_that_has_no_copy_makes_the_same_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file.json"
    path.write_text('{"images": [], "annotations": [NaN, 1]}')
    buffer, _ = open_object(str(path), ("images", "annotations"))
    monkeypatch.setenv("MASKX_SCRATCH", str(tmp_path / "elsewhere"))
    assert map_file(str(path))[:] == path.read_bytes()
    plan = Plan("out", [PlannedFile("own", "coco", str(path), "file.json", quoted=True)], [], [])
    assert MappedFiles(plan)[0][:] == buffer[:] == b'{"images": [], "annotations": ["NaN", 1]}'


def test_damage_in_a_compressed_or_encoded_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "file.json.gz"
    path.write_bytes(gzip.compress(json.dumps(list(range(999))).encode())[:-30])
    with pytest.raises(DataError, match=r"file\.json\.gz: damaged where it is compressed"):
        unpacked(str(path))
    path.write_bytes(b"\xff\xfe{\x00\x00\xd8")
    with pytest.raises(DataError, match=r"file\.json\.gz: begins as utf-16 text and is not"):
        unpacked(str(path))
