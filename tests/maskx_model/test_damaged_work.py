"""Files of an interrupted run that the disk has damaged."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from data_prep.storage.errors import DataError
from data_prep.storage.storage import FileInfo
from maskx_model.annotate import work
from maskx_model.batch_prediction import plan
from maskx_model.inference.find_images import InputImage
from maskx_model.inference.progress import Done, Progress, Settings
from maskx_model.registry.live_spool import Spool
from maskx_model.study.rows import read_row
from maskx_model.study.splits import read_splits
from tests.maskx_model.registry.live import description

FLIPPED = b'{"model":"\xe1","file_name":"\xe1","mask_classes":"\xe1"}'
"""A bit is flipped in strings, whose bytes are then no UTF-8."""
IMAGE = InputImage("a.jpg", "a.png", FileInfo(1, 1))
SPOOLED = description(Path("nowhere"))


def resume_predict(out: str) -> Progress:
    return Progress(out, Settings("0", 0.5, (), "float32"), resume=True)


def predicted(out: str) -> Done | None:
    return resume_predict(out).read(IMAGE)


READERS = [
    pytest.param(work.read_plan, ".annotate/plan.json", "it", id="annotate, the plan"),
    pytest.param(work.read_images, ".annotate/images.json", "{out}/.annotate", id="annotate, the images"),
    pytest.param(lambda out: work.read_part(out, 0), work.part_files("").uri(0), "it", id="annotate, a part"),
    pytest.param(plan.read_plan, ".predict-batch/plan.json", "it", id="predict-batch, the plan"),
    pytest.param(resume_predict, ".predict/settings.json", "{out}/.predict", id="predict, the settings"),
    pytest.param(predicted, f".predict/{sha256(b'a.png').hexdigest()}.json", "it", id="predict, an image"),
    pytest.param(lambda out: read_splits([f"{out}/split.json"]), "split.json", "it", id="study, a split"),
    pytest.param(lambda out: read_row(f"{out}/row.json"), "row.json", "it", id="study, a row"),
    pytest.param(lambda out: Spool(Path(out), SPOOLED), "sent.json", "it", id="tracking, what is sent"),
]


@pytest.mark.parametrize("damaged", [b'{"images": 3, "fil', b"[1, 2]", b"\xff\x00", FLIPPED])
@pytest.mark.parametrize(("read", "file", "delete"), READERS)
def test_a_damaged_file_is_named_with_the_remedy(
    read: Callable[[str], object], file: str, delete: str, damaged: bytes, tmp_path: Path
) -> None:
    path = Path(f"{tmp_path}/{file}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(damaged)
    with pytest.raises(DataError) as told:
        read(str(tmp_path))
    assert str(told.value).startswith(f"{path}: damaged (")
    assert str(told.value).endswith(f"; delete {delete.format(out=tmp_path)} and give the command again")
