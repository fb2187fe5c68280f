"""`maskx data …`: each command is a few lines over a library call, and imports what is heavy when it is called."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, UseAppendAction, arg

Uri = Annotated[str, arg(metavar="URI")]


def toy(
    out: Path,
    /,
    images: int = 4000,
    val_images: int = 400,
    seed: int = 0,
    style: Literal["hues", "pairs"] = "hues",
) -> None:
    """Generate a toy world: images with annotations in COCO's and Visual Genome's original layouts.

    Prepare it like the real data: `maskx data prepare` takes its `coco` and `visual_genome` folders.

    Args:
        out: Folder to make. It must not exist, or be empty.
        images: How many training images, at least 20.
        val_images: How many validation images, at least 5.
        seed: Another number draws another world.
        style: What makes a class: "hues" is a hue and a texture, "pairs" is a pair of colours and harder.
    """
    from data_prep.toy_world import write_toy_world

    write_toy_world(out, images=images, val_images=val_images, seed=seed, style=style)
    print(f"{out}: {images} training and {val_images} validation images, see {out / 'README.md'}")


def sources() -> None:
    """Print where the public data sets are to be had, what goes where, their licences, and the disk it all takes."""
    from data_prep.inspect.public_sources import describe_sources

    print(describe_sources())


def prepare(
    *,
    source: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="NAME=KIND:PLACE")],
    out: Uri,
    classes: int | None = None,
    limit: int | None = None,
    max_rejected: float = 0.01,
    shard_bytes: int = 128 << 20,
    workers: int = 1,
    synsets: Path | None = None,
    runner: str | None = None,
    beam: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="KEY=VALUE")] = (),
) -> None:
    """Make one dataset of shards from COCO, LVIS, Visual Genome and files of your own.

    Images that several sources annotate are merged; other sources' copies of validation images stay out of
    training. Given again, a finished dataset is verified and an unfinished one completed.

    For example: maskx data prepare --source coco=coco:coco --source vg=vg:visual_genome --classes 3000 --out dataset

    Args:
        source: May be given any number of times. `NAME=coco:FOLDER` (COCO's own layout), `NAME=coco:ANNOTATIONS,IMAGES`
            (any COCO-format file, for training), `NAME@val=coco:ANNOTATIONS,IMAGES` (for another split), the same with
            lvis in place of coco, or `NAME=vg:FOLDER` (Visual Genome's own layout). Annotations may be in the zips that
            they are published in. NAME is yours: lower-case letters and digits. LVIS and Visual Genome find COCO's
            images by id in the source named coco. Any place may be s3://BUCKET/PREFIX.
        out: Folder of the dataset to write, on disk or s3://BUCKET/PREFIX.
        classes: How many of the most frequent Visual Genome synsets make classes; COCO-format classes are always in.
            By default all of them. The paper takes 3000.
        limit: At most so many images of each split, for a first try.
        max_rejected: The share of a source's images or objects that may be broken before this is refused.
        shard_bytes: Bytes of images in a shard, about.
        workers: How many processes of this machine write shards. The bytes are the same with any number.
        synsets: A table of COCO class name → synset in place of the one shipped, data_prep/format/coco_synsets.csv.
        runner: Another engine than this machine, by Apache Beam's name: FlinkRunner, SparkRunner, DataflowRunner, …
            See infra/flink/README.md.
        beam: May be given any number of times: an option of Apache Beam or of the runner, as it is; a switch is KEY
            alone. For example: --beam flink_master=HOST:8081 --beam parallelism=8
    """
    import logging

    logging.basicConfig(level=logging.ERROR)  # Beam warns about cloud libraries that nothing here needs
    from data_prep.prepare.options import PrepareOptions
    from data_prep.prepare.prepare import prepare as run

    options = PrepareOptions(
        sources=source,
        out=out,
        classes=classes,
        limit=limit,
        max_rejected=max_rejected,
        shard_bytes=shard_bytes,
        workers=workers,
        synsets=None if synsets is None else str(synsets),
        runner=runner,
        beam=beam,
    )
    manifest = run(options)
    from data_prep.inspect.show import describe

    print(describe(manifest))


def verify(dataset: Positional[Uri]) -> None:
    """Check a dataset: every hash, every length, every count.

    Args:
        dataset: Folder of a prepared dataset.
    """
    from data_prep.inspect.verify import find_problems
    from data_prep.storage.errors import DataError

    problems = find_problems(dataset)
    if problems:
        print("\n".join(problems))
        raise DataError(f"{dataset}: {len(problems)} things are not as the manifest says; prepare it again")
    print(f"{dataset}: whole")


def audit(dataset: Positional[Uri], *, against: str, limit: int | None = None, workers: int = 1) -> None:
    """Prove that no held-out image is in a dataset's training side, by what the files show and by their ids.

    Every training image is decoded and compared. Ends with status 1 if one is a copy; COCO's own images are
    never thinned, so near-duplicates that COCO itself has are listed apart and are no failure.

    Args:
        dataset: Folder of a prepared dataset.
        against: Folder of the held-out images, for example coco/val2017. Or a source as `prepare` takes it,
            coco=coco:FOLDER, whose files for training are passed over and whose ids are compared too.
        limit: Compare at most so many training images, for a first try.
        workers: How many processes decode and compare.
    """
    from data_prep.inspect.audit import audit as run
    from data_prep.inspect.audit import describe
    from data_prep.storage.errors import DataError

    found = run(dataset, against, limit, workers)
    print(describe(found))
    if found.leaks:
        leaks = len({leak.key for leak in found.leaks})
        raise DataError(f"{dataset}: {leaks} of its training images are held-out ones; prepare it again with them")


def show(dataset: Positional[Uri], *, key: str | None = None, classes: int = 20) -> None:
    """Print what a dataset holds: counts by split, part and class, and what was left out or rejected, by reason.

    Args:
        dataset: Folder of a prepared dataset.
        key: Print this image's record instead, for example coco-000000216794.
        classes: How many of the most frequent classes to print.
    """
    from data_prep.format.reader import Dataset
    from data_prep.inspect.show import describe, describe_classes, describe_photograph

    opened = Dataset.open(dataset)
    if key:
        print(describe_photograph(opened, key))
    else:
        print(f"{describe(opened.manifest)}\n\n{describe_classes(opened.vocabulary, classes)}")


def browse(
    dataset: Positional[Uri], *, out: Uri | None = None, classes: int = 60, samples: int = 3, limit: int = 2000
) -> None:
    """Write an HTML page to look at a dataset: counts, plots, and images of each class with boxes and masks.

    The page is one file that loads nothing from anywhere, so it opens from disk and can be passed on.

    Args:
        dataset: Folder of a prepared dataset.
        out: The page's name, ending in .html, or a folder for its index.html. By default NAME.html beside the
            dataset's folder NAME.
        classes: How many of the most frequent classes to show with images; all of them are listed and searchable.
        samples: Images of each of them.
        limit: In how many images to count the boxes.
    """
    from data_prep.browse.page import BrowseOptions
    from data_prep.browse.page import browse as write_page

    print(write_page(dataset, out, BrowseOptions(classes, samples, limit)))


COMMANDS: dict[str, Callable[..., None]] = {
    "toy": toy,
    "sources": sources,
    "prepare": prepare,
    "verify": verify,
    "audit": audit,
    "show": show,
    "browse": browse,
}
