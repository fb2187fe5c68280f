"""What was exported, as text for a terminal, and how to read it back."""

from data_prep.export.export import Exported
from data_prep.export.options import ExportOptions
from data_prep.inspect.show import Rows, table


def describe_export(options: ExportOptions, exported: Exported) -> str:
    """Numbers by split, what is not as it came, and the `--source` options that read the files again."""
    rows: Rows = [("split", "images", "objects", "masks", "file")]
    rows += [
        (each.split, f"{each.images:,}", f"{each.annotations:,}", f"{each.masks:,}", f"{options.out}/{each.file}")
        for each in exported.splits
    ]
    told = [table(rows)]
    if renumbered := sum(each.renumbered for each in exported.splits):
        told.append(f"{renumbered:,} objects have new ids: in one file, an earlier one has theirs")
    images, linked = (sum(getattr(each, what) for each in exported.splits) for what in ("images", "linked"))
    if options.images == "link" and linked < images:
        told.append(f"{images - linked:,} of {images:,} images are copies: their originals are not where they were")
    exif = f" --exif {exported.exif}" if exported.exif else ""
    return "\n\n".join(
        [*told, f"To read it again: maskx data prepare {_sources(options, exported)}{exif} --out DATASET"]
    )


def _sources(options: ExportOptions, exported: Exported) -> str:
    """The folder where its layout says all; else each file with its split, and a folder to fill in without images."""
    name, kind, out = exported.source, exported.kind, options.out
    if options.images != "none" and {each.split for each in exported.splits} <= {"train", "val"}:
        return f"--source {name}={kind}:{out}"
    return " ".join(
        f"--source {name}@{each.split}={kind}:{out}/{each.file},"
        + ("IMAGES" if options.images == "none" else f"{out}/{each.folder}".rstrip("/"))
        for each in exported.splits
    )
