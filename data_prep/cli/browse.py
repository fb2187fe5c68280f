"""`maskx data browse`."""

from typing import Annotated

from tyro.conf import Positional

from data_prep.arguments import Number, Uri, optional


def browse(
    dataset: Positional[Uri],
    *,
    out: Annotated[str | None, optional("URI", "NAME.html beside the dataset's folder NAME")] = None,
    classes: Number = 60,
    samples: Number = 3,
    limit: Number = 2000,
) -> None:
    """Write an HTML page of a dataset: counts, plots, and images of each class with boxes and masks.

    The page is one file that loads nothing else, so it opens from disk and can be passed on.

    Args:
        dataset: Folder of a prepared dataset.
        out: The page's name, ending in .html, or a folder for its index.html.
        classes: Number of the most frequent classes to show with images; all of them are listed and searchable.
        samples: Number of images of each of them.
        limit: Number of images in which to count the boxes.

    Example:
        maskx data browse dataset --out dataset.html
    """
    from data_prep.browse.page import BrowseOptions
    from data_prep.browse.page import browse as write_page

    print(write_page(dataset, out, BrowseOptions(classes, samples, limit)))
