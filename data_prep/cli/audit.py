"""`maskx data audit`."""

from typing import Annotated

from tyro.conf import Positional, arg

from data_prep.arguments import Number, Uri, optional


def audit(
    dataset: Positional[Uri],
    *,
    against: Annotated[str, arg(metavar="FOLDER|NAME=KIND:PATH")],
    limit: Annotated[int | None, optional("N", "all training images")] = None,
    workers: Number = 1,
) -> None:
    """Prove that no held-out image is among a dataset's training images, by content and by id.

    Decodes and compares every training image. Ends with status 1 if one is a copy. What `maskx data prepare` keeps on
    purpose is listed separately and is no failure: COCO's own images, and near-duplicates within one source.

    Args:
        dataset: Folder of a prepared dataset.
        against: Folder of the held-out images, for example coco/val2017. Or a source as `maskx data prepare` takes it,
            coco=coco:FOLDER or mine@val=coco:ANNOTATIONS,IMAGES: its training files are ignored, its ids are compared
            too, and near-duplicates within the source are distinguished from leaks.
        limit: Maximum number of training images to compare, for a first try.
        workers: Number of processes that decode and compare.

    Example:
        maskx data audit dataset --against coco=coco:coco
    """
    from data_prep.inspect.audit import audit as run
    from data_prep.inspect.audit import describe
    from data_prep.storage.errors import DataError

    found = run(dataset, against, limit, workers)
    print(describe(found))
    if found.leaks:
        leaks = len({leak.key for leak in found.leaks})
        raise DataError(
            f"{dataset}: {leaks} of its training images are held-out ones; prepare it again with them "
            "(if the copies are of one source, name it: --against NAME@val=…)"
        )
