"""Files that are packed, encoded, or hold numbers that JSON lacks come back as plain files that say the same."""

import gzip
import json
import math
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest

from data_prep.storage.errors import ConfigError
from tests.maskx_model.annotate.small_boxes import MASK, annotation, write_boxes
from tests.maskx_model.annotate.small_runs import annotated, run

pytestmark = pytest.mark.usefixtures("scratch")


def pack(folder: Path, name: str) -> str:
    """`boxes.json` packed as the file `name`, alone; returns the `--source` option."""
    path = folder / "boxes.json"
    if name.endswith(".zip"):
        with zipfile.ZipFile(folder / name, "w") as archive:
            archive.write(path, "boxes.json")
    else:
        (folder / name).write_bytes(gzip.compress(path.read_text("utf-8").encode("utf-16")))
    path.unlink()
    return f"mine=coco:{folder}/{name},{folder}/images"


@pytest.mark.parametrize("name", ["boxes.json.gz", "boxes.gz", "boxes.json.zip", "boxes.zip"])
def test_a_packed_file_comes_back_plain_under_a_plain_name(name: str, model: str, tmp_path: Path) -> None:
    run(model, tmp_path / "plain", write_boxes(tmp_path, [annotation(1), annotation(2, 2, category_id=9)]))
    summary = run(model, tmp_path / "out", pack(tmp_path, name))
    assert summary.files == {"boxes.json": 2}
    plain, packed = ((tmp_path / out / "boxes.json").read_bytes() for out in ("plain", "out"))
    assert packed == plain


def test_a_packed_files_own_folder_takes_no_output(model: str, tmp_path: Path) -> None:
    """A plain file there is another one."""
    write_boxes(tmp_path, [annotation(1)])
    shutil.copy(tmp_path / "boxes.json", tmp_path / "kept.json")
    source = pack(tmp_path, "boxes.json.gz")
    (tmp_path / "kept.json").rename(tmp_path / "boxes.json")
    with pytest.raises(ConfigError, match=r"boxes\.json\.gz is the file to annotate; choose another folder"):
        run(model, tmp_path, source)


def test_two_files_that_would_have_one_name_are_refused(model: str, tmp_path: Path) -> None:
    write_boxes(tmp_path, [annotation(1)])
    (tmp_path / "annotations").mkdir()
    plain = (tmp_path / "boxes.json").rename(tmp_path / "annotations/instances_train.json")
    (tmp_path / "annotations/instances_train.json.gz").write_bytes(gzip.compress(plain.read_bytes()))
    with pytest.raises(ConfigError, match=r"would both come back as annotations/instances_train\.json"):
        run(model, tmp_path / "out", f"mine=coco:{tmp_path}")
    assert not (tmp_path / "out").exists()


def test_numbers_that_json_lacks_stay_and_so_does_the_text_of_their_names(model: str, tmp_path: Path) -> None:
    odd = {"area": math.nan, "attributes": ["NaN", [math.inf, -math.inf], '"NaN']}
    kept = annotation(2, 2, category_id=9, **odd)
    source = write_boxes(tmp_path, [annotation(1), kept], info={"NaN": math.nan}, license=-math.inf)
    assert run(model, tmp_path / "out", source).outcomes == {"segmented": 1, "unknown_class": 1}
    given, found = ((tmp_path / folder / "boxes.json").read_text() for folder in ("", "out"))
    assert found[found.rindex('"id": 2') :] == given[given.rindex('"id": 2') :]
    assert found[: found.index('"annotations"')] == given[: given.index('"annotations"')]


@pytest.mark.parametrize("drawn", [{}, {"segmentation": MASK, "provenance": {"by": math.nan}}])
def test_an_annotation_with_numbers_that_json_lacks_gets_its_mask_beside_them(
    drawn: dict[str, Any], model: str, tmp_path: Path
) -> None:
    odd: dict[str, Any] = {"score": math.nan, "attributes": ["NaN", [math.inf, -math.inf]]}
    source = write_boxes(tmp_path, [annotation(1, **odd, **drawn), annotation(2, 2)])
    assert run(model, tmp_path / "out", source, replace="all").outcomes == {"segmented": 2}
    run(model, tmp_path / "again", f"mine=coco:{tmp_path}/out/boxes.json,{tmp_path}/images", replace="made")
    for out in ("out", "again"):
        found, _ = annotated(tmp_path / out)
        assert math.isnan(found["score"])
        assert found["attributes"] == odd["attributes"]
        assert found["segmentation"]["size"] == [120, 160]
        assert json.dumps(found["provenance"].get("before")) == json.dumps(drawn.get("provenance"))
