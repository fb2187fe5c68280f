"""The memory of an index of many images in a training with worker processes: columns that all of them map."""

import multiprocessing
import random
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

from data_prep.format.index import IndexRow, write_index
from data_prep.format.rows import Rows, read_index

CLASSES = [f"class-{number}.n.01" for number in range(365)]
IMAGES_OF_A_SHARD = 2_000
READ = 2_000


def index_memory(uri: str, images: int, workers: int) -> dict[str, float]:
    """Write an index of so many images, and read all of it here and in each of the workers.

    Returns MiB: of all processes together, mapped pages once, beyond what they had before; and of what one sends to
    another.
    """
    if not Path(uri).exists():
        write_index(uri, synthetic_rows(images))
    context = multiprocessing.get_context("spawn")
    alone, measured = _process(context, None), []
    rows = read_index(uri).of_split("train", "source")
    processes = [_process(context, rows) for _ in range(workers + 1)]  # one of them stands for the training itself
    measured = [connection.recv() for _, connection in processes]
    before = alone[1].recv()
    for process, connection in (alone, *processes):
        connection.send(None)
        process.join()
    total = sum(each - before for each in measured)
    sent = 4 * len(rows) / 2**20
    print(f"index of {images} images, {workers} workers and the training: {total:.0f} MiB; {sent:.0f} MiB sent to each")
    return {"index_mib": round(total), "index_sent_mib": round(sent, 1)}


def _process(
    context: multiprocessing.context.SpawnContext, rows: Rows | None
) -> tuple[multiprocessing.context.SpawnProcess, Connection]:
    here, there = context.Pipe()
    process = context.Process(target=_read, args=(there, rows))
    process.start()
    return process, here


def _read(connection: Connection, rows: Rows | None) -> None:
    """Read every column and some rows; tell the process's share of memory, and stay until all have."""
    if rows is not None:
        assert sum(len(part.rows) for part in rows.shown("source"))
        generator = random.Random(0)
        assert all(rows[generator.randrange(len(rows))].key for _ in range(READ))
    connection.send(_own_share())
    connection.recv()


def _own_share() -> float:
    """MiB of this process: its own pages, and its share of those that others map too."""
    lines = Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def synthetic_rows(images: int) -> Iterator[IndexRow]:
    """Rows as a source of Objects365's size has them: six classes an image."""
    generator = random.Random(0)
    for number in range(images):
        offset = 1_024 + number % IMAGES_OF_A_SHARD * 170_000
        yield IndexRow(
            key=f"source-{number:012d}",
            split="train",
            part="source",
            shard=f"train/source-{number // IMAGES_OF_A_SHARD:06d}.tar",
            image_offset=offset,
            image_length=160_000 + generator.randrange(9_000),
            record_offset=offset + 169_500,
            record_length=generator.randrange(500, 9_000),
            width=640,
            height=480,
            ids={"source": number},
            flickr_id=generator.randrange(10**10),
            license="https://creativecommons.org/licenses/by/2.0/",
            classes={"source": sorted(generator.sample(CLASSES, 6))},
        )
