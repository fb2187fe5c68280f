"""Files of an interrupted run that the disk has damaged."""

from collections.abc import Callable
from pathlib import Path

import pytest

from data_prep.storage.errors import DataError
from maskx_model.annotate import work
from maskx_model.batch_prediction import plan

READERS = [
    pytest.param(work.read_plan, ".annotate/plan.json", "it", id="annotate, the plan"),
    pytest.param(work.read_images, ".annotate/images.json", "{out}/.annotate", id="annotate, the images"),
    pytest.param(lambda out: work.read_part(out, 0), work.part_files("").uri(0), "it", id="annotate, a part"),
    pytest.param(plan.read_plan, ".predict-batch/plan.json", "it", id="predict-batch, the plan"),
]


@pytest.mark.parametrize("damaged", [b'{"images": 3, "fil', b"[1, 2]", b"\xff\x00"])
@pytest.mark.parametrize(("read", "file", "delete"), READERS)
def test_a_damaged_file_is_named_with_the_remedy(
    read: Callable[[str], object], file: str, delete: str, damaged: bytes, tmp_path: Path
) -> None:
    path = Path(f"{tmp_path}/{file}")
    path.parent.mkdir(parents=True)
    path.write_bytes(damaged)
    with pytest.raises(DataError) as told:
        read(str(tmp_path))
    assert str(told.value).startswith(f"{path}: damaged (")
    assert str(told.value).endswith(f"; delete {delete.format(out=tmp_path)} and give the command again")
