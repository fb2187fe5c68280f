"""`maskx data show`."""

from typing import Annotated

from tyro.conf import Positional

from data_prep.arguments import Number, Uri, optional


def show(
    dataset: Positional[Uri],
    *,
    key: Annotated[str | None, optional("KEY", "the whole dataset")] = None,
    classes: Number = 20,
) -> None:
    """Print what a dataset holds: counts by split, part and class, and what was excluded or rejected, by reason.

    Args:
        dataset: Folder of a prepared dataset.
        key: Print this image's record instead, for example coco-000000216794.
        classes: Number of the most frequent classes to print.

    Example:
        maskx data show dataset --classes 50
    """
    from data_prep.format.reader import Dataset
    from data_prep.inspect.show import describe, describe_classes, describe_image

    opened = Dataset.open(dataset)
    if key:
        print(describe_image(opened, key))
    else:
        print(f"{describe(opened.manifest)}\n\n{describe_classes(opened.vocabulary, classes)}")
