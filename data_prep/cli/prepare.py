"""`maskx data prepare`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import UseAppendAction, arg

from data_prep.arguments import BeamOptions, Grouped, Number, Runner, Sources, Uri, optional
from data_prep.format.exif_rule import ExifRule

_ALL_DRAWN = "(default: people drew all masks)"


@dataclass(frozen=True)
class ContentOptions:
    """What the dataset contains.

    Attributes:
        classes: Number of the most frequent Visual Genome synsets that become classes; classes of COCO-format files are
            always included. The paper takes 3000.
        limit: Maximum number of images of each split, for a first try. Copies of any held-out image leave training.
        max_rejected: Fraction of a source's images, and of its objects, that may be broken before the command refuses
            it. Ten, but at most a quarter of them, are always allowed.
        exif: Which images are read upright, as their EXIF orientation says. `auto`: those whose listed width and height
            fit only the upright image; `apply`: all, because the boxes were drawn on upright images; `ignore`: none.
        made: A source whose masks a model made, and the model's name. They are marked so, as far as they do not say it
            themselves: trainings can give them a lower weight. Repeat it for more, for example --made teacher=sam
        synsets: Table of COCO class name → synset.
    """

    classes: Annotated[int | None, optional("N", "all synsets")] = None
    limit: Annotated[int | None, optional("N", "all images")] = None
    max_rejected: Annotated[float, arg(metavar="FRACTION")] = 0.01
    exif: ExifRule = "auto"
    made: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="NAME=MODEL", help_behavior_hint=_ALL_DRAWN)] = ()
    synsets: Annotated[Path | None, optional("FILE", "the one shipped, data_prep/format/coco_synsets.csv")] = None


@dataclass(frozen=True)
class ComputationOptions:
    """Where and how the shards are written. The bytes are the same in every case.

    Attributes:
        shard_bytes: Approximate bytes of images in a shard. Another number makes other shards.
        workers: Number of worker processes on this machine.
        runner: Another engine than this machine, by Apache Beam's name: FlinkRunner, SparkRunner, DataflowRunner, …
            See infra/flink/README.md.
        beam: Option of Apache Beam or of the runner, passed on unchanged; a switch is KEY alone. Repeat it for more,
            for example --beam flink_master=HOST:8081 --beam parallelism=8
    """

    shard_bytes: Annotated[int, arg(metavar="BYTES")] = 128 << 20
    workers: Number = 1
    runner: Runner = None
    beam: BeamOptions = ()


def prepare(
    *,
    source: Sources,
    out: Uri,
    content: Grouped[ContentOptions],
    computation: Grouped[ComputationOptions],
    verify: bool = False,
) -> None:
    """Prepare a dataset of shards from COCO, LVIS, Visual Genome and custom files.

    Images that several sources annotate are merged. Other sources' copies of validation images are held out of
    training. The same command again completes an unfinished dataset and keeps a finished one.

    Args:
        source: `NAME=coco:FOLDER` (the layouts of COCO, Roboflow, CVAT, Label Studio and FiftyOne),
            `NAME=coco:ANNOTATIONS,IMAGES` (any COCO-format file, for training), `NAME@val=coco:ANNOTATIONS,IMAGES` (for
            another split: lower-case letters, digits and hyphens; a file whose name says val or test needs its split,
            @train if it is for training), `NAME=coco:FILE` (its images are looked for beside it), the same with lvis
            and LVIS's folder or files, or `NAME=vg:FOLDER` (Visual Genome's own layout).
            FOLDER may be a zip of it. Annotations may stay in the zip files that they are published in, or be
            compressed by gzip. NAME is your choice: lower-case letters and digits. LVIS and Visual Genome find COCO's
            images by id in the source named coco. Every path may be s3://BUCKET/PREFIX.
        out: Folder of the dataset to write, on disk or s3://BUCKET/PREFIX.
        verify: Where the dataset is finished already, read every byte of it. Without this, a shard of the size and
            version that were written is trusted.

    Example:
        maskx data prepare --source coco=coco:coco --source vg=vg:visual_genome --classes 3000 --out dataset
    """
    import logging

    logging.basicConfig(level=logging.ERROR)  # Beam warns about cloud libraries that nothing here needs
    from data_prep.inspect.show import describe
    from data_prep.prepare.options import PrepareOptions
    from data_prep.prepare.prepare import prepare as run

    options = PrepareOptions(
        sources=source,
        out=out,
        classes=content.classes,
        limit=content.limit,
        max_rejected=content.max_rejected,
        exif=content.exif,
        made=content.made,
        shard_bytes=computation.shard_bytes,
        workers=computation.workers,
        synsets=None if content.synsets is None else str(content.synsets),
        verify=verify,
        runner=computation.runner,
        beam=computation.beam,
    )
    print(describe(run(options)))
