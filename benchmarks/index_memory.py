"""The memory of an index of many images in a training of several ranks: columns that all of them map."""

import multiprocessing
import random
from collections.abc import Iterator
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnContext
from pathlib import Path

from data_prep.format.index import IndexRow, write_index
from data_prep.format.mapped_index import map_index
from data_prep.format.rows import Rows

CLASSES = [f"class-{number}.n.01" for number in range(365)]
IMAGES_OF_A_SHARD = 2_000
READ = 2_000


def index_memory(uri: str, images: int, ranks: int) -> dict[str, int]:
    """Write an index of so many images, and read all of it in one rank after another; workers hold none of it.

    Returns MiB of the first rank and of all ranks together, mapped pages once, beyond what a process has without it.
    """
    if not Path(uri).exists():
        write_index(uri, synthetic_rows(images))
    context = multiprocessing.get_context("spawn")
    before = _measured(context, "", 1)
    first, together = (_measured(context, uri, count) - count * before for count in (1, ranks))
    print(f"index of {images} images: {first:.0f} MiB in one rank, {together:.0f} MiB in {ranks}")
    return {"index_mib": round(first), "index_mib_of_ranks": round(together)}


def _measured(context: SpawnContext, uri: str, count: int) -> float:
    """MiB of so many processes that have read the index at the URI; of none if it is empty."""
    pipes = [context.Pipe() for _ in range(count)]
    processes = [context.Process(target=_read, args=(there, uri)) for _, there in pipes]
    for process in processes:
        process.start()
    for here, _ in pipes:
        here.recv()  # all have read it before any is measured
    for here, _ in pipes:
        here.send(None)
    total = sum(here.recv() for here, _ in pipes)
    for (here, _), process in zip(pipes, processes, strict=True):
        here.send(None)
        process.join()
    return float(total)


def _read(connection: Connection, uri: str) -> None:
    """Read every column and some rows; tell the process's share of memory, and stay until all have."""
    rows = Rows.of(map_index(uri)).of_split("train", "source") if uri else []
    if isinstance(rows, Rows):
        pairs = sum(len(part.rows) for part in rows.shown("source"))
        generator = random.Random(0)
        keys = {rows[generator.randrange(len(rows))].key for _ in range(READ)}
        assert pairs and keys
    connection.send(None)
    connection.recv()
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
