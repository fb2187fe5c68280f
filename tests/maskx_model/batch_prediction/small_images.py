"""A folder of small images, and what batch prediction made of it."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.maskx_model.annotate.small_boxes import png

NAMES = ["cup", "chair"]


def write_images(folder: Path, number: int, sizes: Sequence[tuple[int, int]] = ((80, 60),)) -> str:
    """`000.png` and so on, blobs of color of these sizes in turn; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for at in range(number):
        (folder / f"{at:03d}.png").write_bytes(png(at, *sizes[at % len(sizes)]))
    return str(folder)


def table_of(out: Path) -> pa.Table:
    """All rows of the predictions."""
    return pa.concat_tables(pq.read_table(path) for path in sorted(out.glob("predictions-*.parquet")))


def contents(out: Path) -> dict[str, bytes]:
    """Every file of the output."""
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}
