"""The HTML page of a dataset: counts, plots, all classes, and images of the most frequent ones."""

import itertools
import sys
from dataclasses import dataclass

from tqdm import tqdm

from data_prep.browse.boxes import box_histogram, count_boxes
from data_prep.browse.catalogue import Catalogue
from data_prep.browse.samples import Sample, class_samples
from data_prep.format.reader import Dataset
from data_prep.format.vocabulary import VocabularyClass
from data_prep.inspect.show import held_out_counts
from data_prep.pages.html import counts_table, page_environment, page_file, svg_uri
from data_prep.pages.plots import class_frequencies
from data_prep.sources.reasons import EXCLUDED, HELD_OUT, REJECTED
from data_prep.storage.errors import ConfigError
from data_prep.storage.storage import local_path, write

SOURCE_COLORS = ("#4f46e5", "#f59e0b", "#06b6d4", "#ec4899")


@dataclass(frozen=True)
class BrowseOptions:
    """`classes`: how many of the most frequent classes are shown with images; `samples`: how many images of each;
    `limit`: in how many images boxes are counted. Raises ConfigError for a number below 1."""

    classes: int = 60
    samples: int = 3
    limit: int = 2000

    def __post_init__(self) -> None:
        for option, value in vars(self).items():
            if value < 1:
                raise ConfigError(f"--{option} {value}: must be at least 1")


@dataclass(frozen=True)
class ListedClass:
    """A class in the list: its position and entry in the vocabulary, the number of images with an object of it, and
    the samples drawn."""

    position: int
    described: VocabularyClass
    images: int
    samples: list[Sample]

    @property
    def side(self) -> str:
        """`A` if any object of the class has a mask in training, `B` if all have boxes only there."""
        return "A" if self.described.masks_to_train_on else "B"

    @property
    def search(self) -> str:
        """The text that a search covers: all names of the class, in lower case."""
        names = [name for own in self.described.sources.values() for name in own.names]
        return " ".join(dict.fromkeys([self.described.name, self.described.synset, *names])).lower()


def browse(uri: str, out: str | None, options: BrowseOptions) -> str:
    """Write the page of a dataset and return its URI; raises DataError if the dataset is missing or damaged.

    `out` is the page's path if it ends in `.html`, else a folder for its `index.html`. By default the page is written
    beside the dataset under the dataset's name, or in the working folder if the dataset is in an object store.
    """
    dataset = Dataset.open(uri)
    page = page_uri(dataset.uri, out)
    write(page, render(dataset, options).encode())
    return page


def page_uri(dataset: str, out: str | None) -> str:
    """The URI of a dataset's page; `out` as in `browse`."""
    if out is not None:
        return page_file(out)
    if "://" in dataset and not dataset.startswith("file://"):
        return f"{dataset.rsplit('/', maxsplit=1)[-1]}.html"
    folder = local_path(dataset).resolve()
    return str(folder.with_name(f"{folder.name}.html"))


def render(dataset: Dataset, options: BrowseOptions) -> str:
    """Render the page as HTML; all text from data is escaped."""
    manifest = dataset.manifest
    catalogue = Catalogue.of(dataset.index, dataset.vocabulary)
    classes = _list_classes(dataset, catalogue, options)
    in_a = {c.position for c in classes if c.side == "A"}
    boxes = count_boxes(dataset, catalogue, options.limit)
    sources = sorted(source.name for source in manifest.sources)
    colors = dict(zip(sources, itertools.cycle(SOURCE_COLORS), strict=False))
    template = page_environment("data_prep.browse").get_template("browse.html.j2")
    return template.render(
        name=dataset.uri.rsplit("/", maxsplit=1)[-1],
        manifest=manifest,
        images=len(dataset.index),
        counts=counts_table(manifest),
        dropped=[
            ("excluded by rule", manifest.left_out, EXCLUDED),
            ("images held out of training", held_out_counts(manifest), HELD_OUT),
            ("rejected as broken", manifest.rejected, REJECTED),
        ],
        classes=classes,
        in_a=len(in_a),
        shown=[c for c in classes if c.samples],
        sources=sources,
        frequencies=svg_uri(class_frequencies(dataset.vocabulary, in_a)),
        boxes=[(counted, svg_uri(box_histogram(counted, colors))) for counted in boxes],
    )


def _list_classes(dataset: Dataset, catalogue: Catalogue, options: BrowseOptions) -> list[ListedClass]:
    """List all classes, the most frequent first, ties by name."""
    ranked = sorted(enumerate(dataset.vocabulary.classes), key=lambda item: (-item[1].objects, item[1].name))
    drawn = tqdm(ranked[: options.classes], desc="drawing", unit="class", file=sys.stderr)
    samples = {position: class_samples(dataset, catalogue, position, options.samples) for position, _ in drawn}
    return [
        ListedClass(position, c, catalogue.count_images(position), samples.get(position, [])) for position, c in ranked
    ]
