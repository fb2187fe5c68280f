"""`maskx predict`: images in, overlay pictures and COCO results out."""

import io
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np
import numpy.typing as npt
from PIL import Image
from tqdm import tqdm

from data_prep.format.images import decode_rgb
from data_prep.format.vocabulary import Vocabulary
from data_prep.storage.errors import ConfigError, DataError
from data_prep.storage.storage import create, write
from maskx_model.config import PLAIN, Compute
from maskx_model.inference.segmenter import Segmenter, model_folder
from maskx_model.results.coco_results import category_ids, to_results
from maskx_model.results.drawing import draw_instances

SUFFIXES = {".jpg", ".jpeg", ".png"}
NAMED_IN_ERROR = 5


@dataclass(frozen=True)
class InputImage:
    """An image file to predict on, and its overlay's path below the output folder."""

    path: Path
    overlay: Path


def predict_files(
    model: str,
    inputs: Sequence[Path],
    out: Path,
    min_score: float = 0.5,
    tracking_uri: str | None = None,
    compute: Compute = PLAIN,
) -> int:
    """Segments every image among the inputs (files, and folders with everything below them); returns their number.

    `model`: a model folder, or a registered model (`models:/maskx@champion`; from the MLflow store `tracking_uri`),
    computed as `compute` requires. Writes to `out` an overlay `<name>.png` for each image, in the layout of the input
    folder, with the objects of at least `min_score`; then `images.json` (each image's id, and the categories) and
    `results.json`, a plain list in COCO's results format of *all* detections:
    `COCO("images.json").loadRes("results.json")`.

    Raises ConfigError for a `min_score` outside 0..1, DataError without an input image, CheckpointError or
    TrackingError for a model that cannot be loaded, and DataError at the end, when all others are done, if images
    cannot be read.
    """
    if not 0 <= min_score <= 1:
        raise ConfigError(f"min_score: a score lies between 0 and 1, got {min_score}")
    found = find_images(inputs, out)
    with model_folder(model, tracking_uri) as folder:
        segmenter = Segmenter.load(folder, compute)
    for stale in ("results.json", "images.json"):
        (out / stale).unlink(missing_ok=True)
    with create(out / "results.json") as results:
        images, unreadable = _segment_all(segmenter, found, out, min_score, results)
        write(out / "images.json", _describe(images, segmenter.vocabulary))
    if unreadable:
        listed = "; ".join(unreadable[:NAMED_IN_ERROR]) + ("; …" if len(unreadable) > NAMED_IN_ERROR else "")
        raise DataError(f"{len(unreadable)} of {len(found)} images could not be read, {out} lacks them: {listed}")
    return len(images)


def find_images(inputs: Sequence[Path], out: Path) -> list[InputImage]:
    """Finds the images among the inputs, each once, folders in alphabetical order, without hidden files and files in
    `out`. Overlays get distinct names. Raises DataError for an input that does not exist, and without an image.
    """
    if not inputs:
        raise DataError("no images were named; name files, or folders of them")
    chosen: dict[Path, InputImage] = {}
    taken: set[Path] = set()
    for each in inputs:
        for path, below in _list(each, out):
            if path.resolve() not in chosen:
                overlay = _free_name(below.with_suffix(".png"), taken)
                chosen[path.resolve()] = InputImage(path, overlay)
    if not chosen:
        raise DataError(f"{', '.join(map(str, inputs))}: no JPEG or PNG files there; name an image or a folder of them")
    return list(chosen.values())


def _list(given: Path, out: Path) -> list[tuple[Path, Path]]:
    """Lists files to read, each with its path below the input."""
    if given.is_file():
        return [(given, Path(given.name))]
    if not given.is_dir():
        raise DataError(f"{given}: no such file or folder")
    below = sorted(path.relative_to(given) for path in given.rglob("*") if path.suffix.lower() in SUFFIXES)
    visible = [path for path in below if not any(part.startswith(".") for part in path.parts)]
    outside = [path for path in visible if out.resolve() not in (given / path).resolve().parents]
    return [(given / path, path) for path in outside if (given / path).is_file()]


def _free_name(wanted: Path, taken: set[Path]) -> Path:
    """Returns the name, or `<name>-2.png` … if it is taken; upper and lower case count as the same."""
    candidates = itertools.chain([wanted], (wanted.with_stem(f"{wanted.stem}-{n}") for n in itertools.count(2)))
    name = next(each for each in candidates if Path(str(each).lower()) not in taken)
    taken.add(Path(str(name).lower()))
    return name


def _segment_all(
    segmenter: Segmenter, inputs: Sequence[InputImage], out: Path, min_score: float, results: BinaryIO
) -> tuple[list[dict[str, Any]], list[str]]:
    """Draws each image and writes its results at once; returns the entries of `images.json` and the errors."""
    images: list[dict[str, Any]] = []
    unreadable: list[str] = []
    categories = category_ids(segmenter.vocabulary)
    separator = b"[\n"
    for image in tqdm(inputs, "predict", unit="image"):
        try:
            pixels = decode_rgb(image.path.read_bytes(), str(image.path))
        except (DataError, OSError) as error:
            unreadable.append(str(error))
            continue
        instances = segmenter.segment(pixels)
        drawn = draw_instances(pixels, instances, segmenter.vocabulary.names, segmenter.mask_classes, min_score)
        write(out / image.overlay, _png(drawn))
        images.append(_entry(len(images) + 1, image, pixels))
        for result in to_results(len(images), instances, categories):
            results.write(separator + msgspec.json.encode(result))
            separator = b",\n"
    results.write(b"[]\n" if separator == b"[\n" else b"\n]\n")
    return images, unreadable


def _entry(image_id: int, image: InputImage, pixels: npt.NDArray[np.uint8]) -> dict[str, Any]:
    height, width = pixels.shape[:2]
    names = {"file_name": str(image.path), "overlay": image.overlay.as_posix()}
    return {"id": image_id, "width": width, "height": height, **names}


def _describe(images: list[dict[str, Any]], vocabulary: Vocabulary) -> bytes:
    categories = [
        {"id": number, "name": c.name, "synset": c.synset}
        for number, c in zip(category_ids(vocabulary), vocabulary.classes, strict=True)
    ]
    document = {"images": images, "annotations": [], "categories": categories}
    return msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n"


def _png(picture: npt.NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "png")
    return file.getvalue()
