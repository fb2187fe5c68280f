"""`maskx predict`: images in, overlays and COCO results out."""

import io
import logging
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo
from tqdm import tqdm

from data_prep.format.images import decode_rgb
from data_prep.format.vocabulary import Vocabulary
from data_prep.storage.errors import ConfigError, DataError, RightsError
from data_prep.storage.read_ahead import read_ahead
from data_prep.storage.storage import check_writable, remove, sha256, write
from maskx_model.config import PLAIN, Compute
from maskx_model.inference.coco_files import COCO_FILES, coco_files
from maskx_model.inference.find_images import InputImage, find_images
from maskx_model.inference.foreign_files import SOFTWARE, check_coco_files, check_overlays
from maskx_model.inference.one_size import Pixels, batches_of_one_size
from maskx_model.inference.progress import Progress, Settings, has_begun
from maskx_model.inference.segmenter import Segmenter, model_folder
from maskx_model.results.coco_results import category_ids, to_results
from maskx_model.results.drawing import draw_instances
from maskx_model.results.instances import Instances

logger = logging.getLogger(__name__)

NAMED_IN_ERROR = 5


@dataclass(frozen=True)
class PredictOptions:
    """What is drawn and how it is computed.

    `min_score`: the objects with at least this score are drawn, 0 to 1. `classes`: only these, by name or synset; none
    for all. `batch`: so many images of one size are computed at a time. `resume`: keep what an earlier run into the
    same folder has done. Raises ConfigError for values out of range.
    """

    min_score: float = 0.5
    classes: tuple[str, ...] = ()
    batch: int = 1
    resume: bool = False
    compute: Compute = PLAIN

    def __post_init__(self) -> None:
        if not 0 <= self.min_score <= 1:
            raise ConfigError(f"min_score: a score lies between 0 and 1, got {self.min_score}")
        if self.batch < 1:
            raise ConfigError(f"--batch {self.batch}: must be at least 1")


def predict_files(
    model: str,
    inputs: Sequence[str],
    out: str,
    options: PredictOptions | None = None,
    tracking_uri: str | None = None,
) -> int:
    """Segment every image among the inputs (files, and folders with everything below them); returns their number.

    `model`: a model folder, or a registered model (`models:/maskx@champion`; from the MLflow store `tracking_uri`).
    Images are read upright, as their EXIF data say. Writes to `out` an overlay `<name>.png` for each image, in the
    layout of the input folder; then `images.json` (each image's id, and the categories) and `results.json`, a plain
    list in COCO's results format of *all* detections: `COCO("images.json").loadRes("results.json")`. Inputs and `out`
    may be `s3://…`. Files that are passed over are logged.

    Raises DataError without an input image, ConfigError for an unknown class, or if a file in `out` that maskx did not
    write would be replaced, CheckpointError or TrackingError for a model that cannot be loaded, and DataError at the
    end, when all others are done, if images cannot be read.
    """
    options, out = options or PredictOptions(), out.rstrip("/")
    found = find_images(inputs, out)
    if words := found.describe_passed_over():
        logger.warning("%s", words)
    check_writable(out)
    check_overlays(out, found.images)
    if not has_begun(out):
        check_coco_files(out)
    with model_folder(model, tracking_uri) as folder:
        segmenter = Segmenter.load(folder, options.compute)
        settings = Settings(
            sha256(f"{folder}/manifest.json"), options.min_score, options.classes, options.compute.precision
        )
    job = _Job(segmenter, options, out, _drawn(segmenter.vocabulary, options.classes))
    progress = Progress(out, settings, options.resume)
    for stale in COCO_FILES:
        remove(f"{out}/{stale}")
    unreadable = job.run(found.images, progress)
    done = [image for image in found.images if image.uri not in unreadable]
    _write_results(out, done, progress, segmenter.vocabulary)
    progress.finish()
    if unreadable:
        listed = list(unreadable.values())
        named = "; ".join(listed[:NAMED_IN_ERROR]) + ("; …" if len(listed) > NAMED_IN_ERROR else "")
        raise DataError(f"{len(listed)} of {len(found.images)} images could not be read, {out} lacks them: {named}")
    return len(done)


def _drawn(vocabulary: Vocabulary, classes: Sequence[str]) -> frozenset[int] | None:
    """Positions of the classes that are drawn, by their names as they are, else in any case; None for all. Raises
    ConfigError for a name that is no class."""
    positions: dict[str, int] = {}
    for number, c in enumerate(vocabulary.classes):
        names = [name for own in c.sources.values() for name in own.names]
        for name in (c.name, c.synset, *names):
            positions.setdefault(name.lower(), number)
    drawn = set()
    for name in classes:
        exact = vocabulary.find(name)
        position = positions.get(name.lower()) if exact is None else exact
        if position is None:
            near = get_close_matches(name.lower(), positions, 3)
            raise ConfigError(
                f"--classes {name}: the model has no such class" + (f"; did you mean {', '.join(near)}?" * bool(near))
            )
        drawn.add(position)
    return frozenset(drawn) if classes else None


@dataclass(frozen=True)
class _Job:
    """`drawn`: positions of the classes that are drawn, None for all."""

    segmenter: Segmenter
    options: PredictOptions
    out: str
    drawn: frozenset[int] | None

    def run(self, images: Sequence[InputImage], progress: Progress) -> dict[str, str]:
        """Segment and draw each image that is not done; returns the error of each one that cannot be read, by URI."""
        unreadable: dict[str, str] = {}
        with tqdm(total=len(images), desc="predict", unit="image") as bar:
            todo = [image for image in images if progress.find(image) is None]
            bar.update(len(images) - len(todo))
            for batch in batches_of_one_size(self._decoded(todo, unreadable, bar), self.options.batch):
                segmented = self.segmenter.segment_batch([pixels for _, pixels in batch])
                for (image, pixels), instances in zip(batch, segmented, strict=True):
                    self._write(image, pixels, instances, progress)
                    bar.update()
        return unreadable

    def _decoded(
        self, images: Sequence[InputImage], unreadable: dict[str, str], bar: Any
    ) -> Iterator[tuple[InputImage, Pixels]]:
        with closing(read_ahead([image.uri] for image in images)) as reads:
            for image, read in zip(images, reads, strict=True):
                try:
                    pixels = decode_rgb(read(image.uri), image.uri, upright=True)
                except (DataError, RightsError, OSError) as error:
                    unreadable[image.uri] = str(error)
                    bar.update()
                else:
                    yield image, pixels

    def _write(self, image: InputImage, pixels: Pixels, instances: Instances, progress: Progress) -> None:
        drawn = draw_instances(
            pixels,
            instances,
            self.segmenter.vocabulary.names,
            self.segmenter.mask_classes,
            self.options.min_score,
            only=self.drawn,
        )
        write(f"{self.out}/{image.overlay}", _png(drawn))
        height, width = pixels.shape[:2]
        results = to_results(0, instances, category_ids(self.segmenter.vocabulary))
        progress.add(image, width, height, [{k: v for k, v in each.items() if k != "image_id"} for each in results])


def _write_results(out: str, images: Sequence[InputImage], progress: Progress, vocabulary: Vocabulary) -> None:
    """Number the images in their order, and write `results.json` and `images.json`."""
    with coco_files(out, vocabulary) as add:
        for number, image in enumerate(images, start=1):
            done = progress.read(image)
            names = {"file_name": image.uri, "overlay": image.overlay}
            add({"id": number, "width": done.width, "height": done.height, **names}, done.results)


def _png(picture: Pixels) -> bytes:
    file, texts = io.BytesIO(), PngInfo()
    texts.add_text(*SOFTWARE)
    Image.fromarray(picture).save(file, "png", pnginfo=texts)
    return file.getvalue()
