"""A dataset, or a part of it, as COCO-format files with their images, which `maskx data prepare` reads again."""

import logging
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from data_prep.export.coco_file import CocoImage, CocoWriter, coco_file, flickr_url
from data_prep.export.names import FileNames
from data_prep.export.options import ExportOptions
from data_prep.export.originals import Originals
from data_prep.export.samples import Sample, read_samples
from data_prep.export.selection import Part, Selection, select
from data_prep.format.reader import Dataset
from data_prep.storage.errors import ConfigError
from data_prep.storage.storage import create_folder, local_path

logger = logging.getLogger(__name__)


class ExportedSplit(NamedTuple):
    """What was exported of a split: its annotation file and its image folder, below the output folder, and numbers.

    `renumbered`: how many annotations got another id, as an earlier one has theirs. `linked`: how many images are
    links to the original files.
    """

    split: str
    file: str
    folder: str
    images: int
    annotations: int
    masks: int
    renumbered: int
    linked: int


class Exported(NamedTuple):
    """What was exported: the source, its file format (`coco` or `lvis`), each split, and which images the dataset was
    asked to read upright, None for `auto`."""

    source: str
    kind: str
    splits: tuple[ExportedSplit, ...]
    exif: str | None = None


def export(options: ExportOptions) -> Exported:
    """Write `annotations/instances_SPLIT.json` and the images in `SPLIT/`, for each split, into a new folder.

    LVIS's annotations become `annotations/lvis_v1_SPLIT.json`, and all images stand where their URLs say, below the
    folder. The folder appears when it is whole. Raises ConfigError or DataError if it is not new, or nothing fits the
    options.
    """
    out = local_path(options.out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"{out}: holds other files; choose an empty or new folder for --out")
    dataset = Dataset.open(options.dataset)
    selection = select(dataset, options)
    kind = "lvis" if selection.kind == "lvis" else "coco"
    shared = FileNames(selection.source, lvis=True)
    with create_folder(out, "annotations") as folder:
        splits = tuple(
            _Split(dataset, selection, part, folder).write(
                options, shared if kind == "lvis" else FileNames(selection.source, lvis=False)
            )
            for part in selection.parts
        )
    if selection.kind == "vg":
        logger.warning(
            "a COCO file says that its classes are annotated exhaustively, which those of source %s are not",
            selection.source,
        )
    exif = dataset.manifest.parameters.get("exif", "auto")
    return Exported(selection.source, kind, splits, None if exif == "auto" else str(exif))


class _Split:
    """A split that is being written."""

    def __init__(self, dataset: Dataset, selection: Selection, part: Part, out: Path) -> None:
        self._dataset, self._selection, self._part, self._out = dataset, selection, part, out
        self._lvis = selection.kind == "lvis"
        self._file = f"annotations/{'lvis_v1' if self._lvis else 'instances'}_{part.split}.json"
        self._folder = "" if self._lvis else part.split
        self._categories = {category.name: category for category in selection.categories}
        self._licenses = {text: number for number, text in enumerate(selection.licenses, start=1)}

    def write(self, options: ExportOptions, names: FileNames) -> ExportedSplit:
        """Write the annotation file, and the images as they are wanted."""
        part, linked = self._part, 0
        originals = Originals(self._dataset.uri) if options.images == "link" else None
        samples = read_samples(self._dataset, part.rows(self._dataset.index), options.images != "none")
        about = f"Split {part.split} of source {self._selection.source}, exported from a dataset by maskx"
        file = self._out / self._file
        with closing(samples), coco_file(file, about, self._selection.licenses, self._selection.categories) as writer:
            for sample in self._with_bar(samples):
                name = names.name(sample)
                self._add(writer, name, sample)
                if options.images != "none":
                    original = originals.find(sample.record, sample.image) if originals else None
                    linked += original is not None
                    _write_image(self._out / self._folder / name, sample.image, original)
        return ExportedSplit(
            split=part.split,
            file=self._file,
            folder=self._folder,
            images=len(part.positions),
            annotations=writer.annotations,
            masks=writer.masks,
            renumbered=writer.renumbered,
            linked=linked,
        )

    def _with_bar(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        name = f"export {self._part.split}"
        yield from tqdm(samples, total=len(self._part.positions), desc=name, unit="image", file=sys.stderr)

    def _add(self, writer: CocoWriter, name: str, sample: Sample) -> None:
        row, record, source = sample.row, sample.record, self._selection.source
        image = CocoImage(
            id=record.listed_id(source),
            file_name=name,
            width=record.width,
            height=record.height,
            license=self._licenses[row.license] if row.license else None,
            flickr_url=flickr_url(row),
        )
        if self._lvis:
            image.coco_url = f"http://images.cocodataset.org/{name}"
            image.neg_category_ids = self._known(record.negative.get(source, []))
            image.not_exhaustive_category_ids = self._known(record.not_exhaustive.get(source, []))
        writer.add(image, record.objects[source])

    def _known(self, names: list[str]) -> list[int | str]:
        known = (self._categories[name] for name in names if name in self._categories)
        return [category.listed_id for category in sorted(known, key=lambda category: category.id)]


def _write_image(path: Path, image: bytes, original: Path | None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if original:
        path.symlink_to(original)
    else:
        path.write_bytes(image)
