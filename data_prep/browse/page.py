"""The page: counts, plots, every class, and images of the most frequent ones."""

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
from data_prep.pages.html import counts_table, page_environment, svg_uri
from data_prep.pages.plots import class_frequencies
from data_prep.sources.reasons import EXCLUDED, HELD_OUT, REJECTED
from data_prep.storage.errors import ConfigError
from data_prep.storage.storage import local_path, write

SOURCE_COLOURS = ("#4f46e5", "#f59e0b", "#06b6d4", "#ec4899")


@dataclass(frozen=True)
class BrowseOptions:
    """`classes`: how many of the most frequent ones are shown with pictures; `samples`: pictures of each; `limit`:
    images whose boxes are counted."""

    classes: int = 60
    samples: int = 3
    limit: int = 2000

    def __post_init__(self) -> None:
        for option, value in vars(self).items():
            if value < 1:
                raise ConfigError(f"--{option} {value}: must be at least 1")


@dataclass(frozen=True)
class ListedClass:
    """A class in the list: its position in the vocabulary, the images that show it, and the pictures drawn."""

    position: int
    described: VocabularyClass
    photographs: int
    samples: list[Sample]

    @property
    def side(self) -> str:
        """A: some object has a mask; B: boxes only."""
        return "A" if self.described.masks else "B"

    @property
    def search(self) -> str:
        """What a search looks in, in lower case: all names of the class."""
        names = [name for own in self.described.sources.values() for name in own.names]
        return " ".join(dict.fromkeys([self.described.name, self.described.synset, *names])).lower()


def browse(uri: str, out: str | None, options: BrowseOptions) -> str:
    """Write the page and return where it is; raises DataError if there is no dataset, or a damaged one.

    `out` is the page's name if it ends in `.html`, else a folder for its `index.html`; by default the page stands
    beside the dataset with the dataset's name, or in the working folder if the dataset is in an object store.
    """
    dataset = Dataset.open(uri)
    page = page_uri(dataset.uri, out)
    write(page, render(dataset, options).encode())
    return page


def page_uri(dataset: str, out: str | None) -> str:
    """Where the page of a dataset goes."""
    if out is not None:
        return out if out.endswith(".html") else f"{out.rstrip('/')}/index.html"
    if "://" in dataset and not dataset.startswith("file://"):
        return f"{dataset.rsplit('/', maxsplit=1)[-1]}.html"
    folder = local_path(dataset).resolve()
    return str(folder.with_name(f"{folder.name}.html"))


def render(dataset: Dataset, options: BrowseOptions) -> str:
    """The page as HTML text; everything that comes from data is escaped."""
    manifest = dataset.manifest
    catalogue = Catalogue.of(dataset.index, dataset.vocabulary)
    classes = _list_classes(dataset, catalogue, options)
    in_a = {c.position for c in classes if c.side == "A"}
    boxes = count_boxes(dataset, catalogue, options.limit)
    sources = sorted(source.name for source in manifest.sources)
    colours = dict(zip(sources, itertools.cycle(SOURCE_COLOURS), strict=False))
    template = page_environment("data_prep.browse").get_template("browse.html.j2")
    return template.render(
        name=dataset.uri.rsplit("/", maxsplit=1)[-1],
        manifest=manifest,
        photographs=len(dataset.index),
        counts=counts_table(manifest),
        dropped=[
            ("left out by rule", manifest.left_out, EXCLUDED),
            ("kept out of training", held_out_counts(manifest), HELD_OUT),
            ("rejected as broken", manifest.rejected, REJECTED),
        ],
        classes=classes,
        in_a=len(in_a),
        shown=[c for c in classes if c.samples],
        sources=sources,
        frequencies=svg_uri(class_frequencies(dataset.vocabulary, in_a)),
        boxes=[(counted, svg_uri(box_histogram(counted, colours))) for counted in boxes],
    )


def _list_classes(dataset: Dataset, catalogue: Catalogue, options: BrowseOptions) -> list[ListedClass]:
    """All classes, the most frequent first; ties by name."""
    ranked = sorted(enumerate(dataset.vocabulary.classes), key=lambda item: (-item[1].objects, item[1].name))
    drawn = tqdm(ranked[: options.classes], desc="drawing", unit="class", file=sys.stderr)
    samples = {position: class_samples(dataset, catalogue, position, options.samples) for position, _ in drawn}
    return [
        ListedClass(position, c, catalogue.photographs(position), samples.get(position, [])) for position, c in ranked
    ]
