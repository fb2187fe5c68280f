"""Numbered parts of a work, done by an engine."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from data_prep.beam.engine import Engine
from data_prep.beam.parts import run_parts
from data_prep.storage.errors import DataError


@dataclass(frozen=True)
class WriteNumber:
    """Writes each part's number; part `broken` cannot be done."""

    folder: str
    broken: int = -1

    def __call__(self, part: int) -> None:
        if part == self.broken:
            raise DataError(f"part {part}: nothing there")
        Path(self.folder, str(part)).write_text(str(part))


def test_every_part_is_done(tmp_path: Path) -> None:
    run_parts(Engine(), str(tmp_path), "annotate", [0, 3, 4], WriteNumber(str(tmp_path)))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "3", "4"]


def test_a_part_that_fails_ends_the_job_with_its_words(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="part 3: nothing there"):
        run_parts(Engine(), str(tmp_path), "annotate", [0, 3, 4], WriteNumber(str(tmp_path), broken=3))
