"""`maskx data export`."""

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, UseAppendAction, arg

from data_prep.arguments import Uri, named, optional

Images = Literal["copy", "link", "none"]


def export(
    dataset: Positional[Uri],
    *,
    out: Path,
    source: Annotated[str | None, optional("NAME", "the only one")] = None,
    split: Annotated[str | None, optional("SPLIT", "all")] = None,
    classes: Annotated[
        UseAppendAction[tuple[str, ...]], arg(metavar="NAME", help_behavior_hint="(default: all, repeatable)")
    ] = (),
    images: Annotated[Images, arg(metavar=named(Images))] = "copy",
) -> None:
    """Write a dataset, or a part of it, as COCO files with images.

    Of each split there are annotations/instances_SPLIT.json and the folder SPLIT with the images. Ids, boxes, masks (as
    compressed run lengths), category ids and file names are those of the source. Prepared again under the source's
    name, the files give the same records. Annotations of LVIS become files in LVIS's format.

    Args:
        dataset: Folder of a prepared dataset, on disk or s3://BUCKET/PREFIX.
        out: Folder to write, on disk. It must be empty or not exist.
        source: Whose annotations to write. Sources are never mixed: each is exported by itself.
        split: Write this split alone.
        classes: Write the objects of this class alone, and the images that have one. Repeat it for more classes.
        images: Copy the images out of the shards; or link to the original files, where they are still to be found
            (others are copied); or write annotations alone.

    Example:
        maskx data export dataset --source coco --split val --out exported
    """
    from data_prep.export.export import export as run
    from data_prep.export.options import ExportOptions
    from data_prep.export.report import describe_export

    options = ExportOptions(dataset, str(out), source, split, classes, images)
    print(describe_export(options, run(options)))
