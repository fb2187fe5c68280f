"""`maskx data check`."""

from typing import Annotated

from tyro.conf import arg

from data_prep.arguments import Number, Sources, optional
from data_prep.format.exif_rule import ExifRule


def check(
    *,
    source: Sources,
    out: Annotated[str | None, optional("URI", "no page")] = None,
    images: bool = True,
    max_rejected: Annotated[float, arg(metavar="FRACTION")] = 0.01,
    exif: ExifRule = "auto",
    workers: Number = 1,
) -> None:
    """Look at sources before preparing them: what would be used, repaired, left out and rejected, and what looks odd.

    Reads all files once, as `maskx data prepare` does, and writes no dataset. Each finding comes with its number, an
    example and what to do. Ends with status 1 if `prepare` would refuse the sources.

    Args:
        source: The sources, as `maskx data prepare` takes them.
        out: A page with the same findings and the examples drawn: its name, ending in .html, or a folder for its
            index.html.
        images: Read the files of images too. Whether they are there is found in any case, and those whose size is not
            listed are read.
        max_rejected: Fraction of a source's images, and of its objects, that may be broken before `prepare` refuses it.
            Ten, but at most a quarter of them, are always allowed.
        exif: Which images are read upright, as their EXIF orientation says; see `maskx data prepare`.
        workers: Number of worker processes on this machine.

    Example:
        maskx data check --source mine=coco:annotations.json,images --out check.html
    """
    import logging

    logging.basicConfig(level=logging.ERROR)  # Beam warns about cloud libraries that nothing here needs
    from data_prep.check.check import CheckOptions
    from data_prep.check.check import check as run
    from data_prep.check.page import write_page
    from data_prep.check.text import describe
    from data_prep.pages.html import page_file
    from data_prep.storage.errors import DataError

    checked = run(CheckOptions(source, images, max_rejected, exif, workers))
    print(describe(checked))
    if out:
        write_page(checked, page_file(out))
        print(page_file(out))
    if checked.refused:
        raise DataError("prepare would refuse these sources; the findings above say why")
