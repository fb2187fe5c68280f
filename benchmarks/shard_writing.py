"""Shard writing from references, each image proved whole by decoding it, against a bare loop that does the same.

The bare loop reads a file, decodes it with Pillow and appends it to a tar. Ours also reads the records back, makes
masks, boxes and the index, and keeps out of training what shows a held-out image. The images are the real
sample's in three parts, as in the real data: `coco` is compared with nothing, `coco+vg` has the file that ids unite
with it decoded too, `vg` is compared with all that is held out (windows of the sample's images: like them, and
copies of none). One process, which works without waiting, so that its CPU time is what counts;
the ways take turns, and the best round of each is taken.

    MASKX_REAL_SAMPLE=DIR python -m benchmarks.shard_writing
"""

import argparse
import tarfile
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from benchmarks.real_sample import real_images
from benchmarks.settings import print_settings
from benchmarks.shard_sources import write_sources
from data_prep.content.search import HeldOutPictures
from data_prep.format.images import decode_rgb
from data_prep.plan.held_out_rule import TRAIN
from data_prep.plan.plan import Contents, MappedFiles, Plan, PlannedImage, read_table, write_plan
from data_prep.plan.planning import Planned, make_plan
from data_prep.shards.held_out_copies import HeldOutGalleries
from data_prep.shards.locate import locate, pack
from data_prep.shards.write import write_shard
from data_prep.sources.options import parse_sources

# Training images of COCO 2017 and Visual Genome 1.4 by part, about.
REAL = {"coco": 67_000, "coco+vg": 51_000, "vg": 55_000}
WAYS = ("bare loop", "ours", "ours, compared")


@dataclass(frozen=True)
class Ready:
    """Held-out shards are written, and each shard's references are at hand."""

    planned: Planned
    contents: Contents
    files: MappedFiles
    references: dict[int, list[bytes]]

    @classmethod
    def make(cls, out: str, sources: tuple[str, ...]) -> "Ready":
        planned, contents = make_plan(out, parse_sources(sources), 128 << 20, None)
        plan = planned.plan
        write_plan(plan, contents)
        files = MappedFiles(plan)
        references: dict[int, list[bytes]] = {number: [] for number in range(len(plan.shards))}
        for byte_range in plan.byte_ranges:
            groups, _ = locate(
                byte_range, plan.files[byte_range.file], files[byte_range.file], read_table(out, byte_range.file)
            )
            for shard, group in groups:
                references[shard].append(pack(group))
        ready = cls(planned, contents, files, references)
        held_out = [number for number, shard in enumerate(plan.shards) if shard.split != TRAIN]
        ready.write(plan, held_out, HeldOutGalleries(plan))
        return ready

    def write(self, plan: Plan, shards: list[int], galleries: HeldOutGalleries) -> None:
        """Write shards, however often they have been written."""
        for number in shards:
            write_shard(plan, number, self.references[number], self.files, galleries)

    def without_comparing(self, out: str) -> tuple[Plan, HeldOutGalleries]:
        """The same plan at another place, in which no image is compared with any."""
        plan = msgspec.structs.replace(self.planned.plan, out=out)
        alone = [[_alone(planned) for planned in shard] for shard in self.contents.images]
        write_plan(plan, Contents(alone, self.contents.tables))
        galleries = HeldOutGalleries(plan)
        galleries.update({source.name: HeldOutPictures([], []) for source in self.planned.sources})
        return plan, galleries


def _alone(planned: PlannedImage) -> PlannedImage:
    return msgspec.structs.replace(planned, copy_versions=(None,) * len(planned.copy_versions))


def bare_loop(images: list[PlannedImage], path: Path) -> None:
    """What the least program does that copies images into a tar and proves each of them whole."""
    with tarfile.open(path, "w") as tar:
        for planned in images:
            file = Path(planned.merged.canonical.path)
            decode_rgb(file.read_bytes(), str(file))
            tar.add(file, file.name)


def measure(ready: Ready, part: str, folder: Path, rounds: int) -> dict[str, float]:
    """CPU milliseconds an image of the part, by way."""
    plan = ready.planned.plan
    shards = [n for n, shard in enumerate(plan.shards) if (shard.split, shard.part) == (TRAIN, part)]
    images = [planned for number in shards for planned in ready.contents.images[number]]
    galleries = HeldOutGalleries(plan)
    without, nothing = ready.without_comparing(f"{folder}/without")
    ways: dict[str, Callable[[], None]] = {
        "bare loop": lambda: bare_loop(images, folder / "bare.tar"),
        "ours": lambda: ready.write(without, shards, nothing),
        "ours, compared": lambda: ready.write(plan, shards, galleries),
    }
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(rounds):
        for name, way in ways.items():
            start = time.process_time()
            way()
            best[name] = min(best[name], 1e3 * (time.process_time() - start) / len(images))
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--each", type=int, default=1000, help="images of each part")
    parser.add_argument("--held-out", type=int, default=5000, help="images to compare with")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    images = real_images()
    print_settings(("numpy", "opencv-python-headless", "pillow"), **vars(options))
    with tempfile.TemporaryDirectory(prefix="maskx-shard-writing-") as temporary:
        folder = Path(temporary)
        sources = write_sources(folder, images, options.each, options.held_out)
        ready = Ready.make(f"{folder}/out", sources)
        parts = {part: measure(ready, part, folder, options.rounds) for part in REAL}
    report(parts)


def report(parts: dict[str, dict[str, float]]) -> None:
    """Print a line for each part and their mean at the real data's counts, and all of it as JSON in the last line."""
    total = sum(REAL.values())
    mean = {way: sum(REAL[part] * parts[part][way] for part in REAL) / total for way in WAYS}
    print(f"{'images/s':16}" + "".join(f"{way:>16}" for way in WAYS) + f"{'of bare':>10}{'comparing':>11}")
    ratios = {}
    for name, ways in {**parts, "as in the data": mean}.items():
        bare, ours, compared = (ways[way] for way in WAYS)
        ratios[name] = {"share_of_bare_loop": bare / compared, "comparing_adds": compared / ours - 1}
        row = f"{name:16}" + "".join(f"{1e3 / ways[way]:16.0f}" for way in WAYS)
        print(row + f"{bare / compared:10.0%}{compared / ours - 1:11.0%}")
    print(msgspec.json.encode({"milliseconds": {**parts, "as in the data": mean}, "ratios": ratios}).decode())


if __name__ == "__main__":
    main()
