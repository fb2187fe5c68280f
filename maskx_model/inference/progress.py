"""What `maskx predict` has done so far, a file for each image, so that a run that was cut off can be resumed.

The files lie in `.predict` below the output folder, and are removed when the run is finished.
"""

import hashlib
from typing import Any

import msgspec

from data_prep.storage.errors import ConfigError
from data_prep.storage.own_files import read_own
from data_prep.storage.storage import exists, is_folder, remove_folder, write
from maskx_model.inference.find_images import InputImage


class Settings(msgspec.Struct, frozen=True):
    """What an image's result and overlay depend on, beside the image. `model`: SHA-256 of the model's manifest."""

    model: str
    min_score: float
    classes: tuple[str, ...]
    precision: str


class Done(msgspec.Struct, frozen=True):
    """An image that is done: the file as it was, its width and height in pixels when it is upright, and its results in
    COCO's format, without `image_id`."""

    file_name: str
    bytes: int
    version: int | str
    width: int
    height: int
    results: list[dict[str, Any]]


def has_begun(out: str) -> bool:
    """Whether a run into `out` has begun and not finished."""
    return exists(_settings(out))


class Progress:
    """The images done below `out`. Raises ConfigError if a run with other settings is to be resumed."""

    def __init__(self, out: str, settings: Settings, resume: bool) -> None:
        self._folder = _folder(out)
        if not resume:
            remove_folder(self._folder)
        self._resume = resume and is_folder(self._folder)
        path = _settings(out)
        if self._resume and exists(path) and read_own(path, Settings, delete=self._folder) != settings:
            raise ConfigError(f"{out}: --resume: the run there has another model or other options; leave out --resume")
        write(path, msgspec.json.encode(settings))

    def find(self, image: InputImage) -> Done | None:
        """The image's result, if the run that is resumed has it and the file has not changed since."""
        path = self._path(image)
        if not self._resume or not exists(path):
            return None
        done = self.read(image)
        same = (done.file_name, done.bytes, done.version) == (image.uri, image.info.bytes, image.info.version)
        return done if same else None

    def add(self, image: InputImage, width: int, height: int, results: list[dict[str, Any]]) -> None:
        """Write down an image's result; its overlay must be written before."""
        done = Done(image.uri, image.info.bytes, image.info.version, width, height, results)
        write(self._path(image), msgspec.json.encode(done))

    def read(self, image: InputImage) -> Done:
        """The result of an image that is done."""
        return read_own(self._path(image), Done)

    def finish(self) -> None:
        """Remove what is no longer needed."""
        remove_folder(self._folder)

    def _path(self, image: InputImage) -> str:
        return f"{self._folder}/{hashlib.sha256(image.overlay.encode()).hexdigest()}.json"


def _folder(out: str) -> str:
    return f"{out}/.predict"


def _settings(out: str) -> str:
    return f"{_folder(out)}/settings.json"
