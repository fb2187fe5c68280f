"""From a sample's bytes to the sample that trains: decoded, jittered, mirrored."""

import math

import numpy as np
import numpy.typing as npt
from torch.utils.data import Dataset as TorchDataset

from data_prep.format.images import decode_rgb
from data_prep.format.records import Record
from data_prep.storage.errors import DataError
from maskx_model.data.crop_and_resize import Window, random_window, through
from maskx_model.data.loading import Loading
from maskx_model.data.read_blocks import Coming, RawSample
from maskx_model.data.reader import SampleReader
from maskx_model.data.samples import Sample, mirrored
from maskx_model.data.seeds import numbered_generator

_REDUCED = (1, 2, 4, 8)
"""What libjpeg divides sides by."""


class Decoder(TorchDataset[list[Sample | DataError]]):
    """Makes samples of bytes: a function of these, the seed and the sample's number, in any thread or process.

    An item's index is a batch's bytes, so that what reads them need not be where they are decoded.
    """

    def __init__(self, reader: SampleReader, seed: int, flip: bool, loading: Loading) -> None:
        self.reader, self.seed, self.flip, self.loading = reader, seed, flip, loading

    def __getitem__(self, batch: list[RawSample | DataError]) -> list[Sample | DataError]:
        return list(map(self.decode, batch))

    def coming(self, sample: Coming) -> Sample | DataError:
        """Wait for the sample's bytes, and decode them."""
        return self.decode(sample())

    def decode(self, raw: RawSample | DataError) -> Sample | DataError:
        """The sample, or the error of one that is damaged."""
        if isinstance(raw, DataError):
            return raw
        try:
            return self._sample(raw)
        except DataError as error:
            return error

    def _sample(self, raw: RawSample) -> Sample:
        drawn = numbered_generator(self.seed, raw.number)
        mirror = self.flip and drawn.random() < 0.5
        record = self.reader.dataset.decode(raw.row, raw.record)
        self._check_row(raw, record)
        window = Window(0, 0, record.width, record.height)
        if self.loading.jitter:
            window = random_window(drawn, self.loading.jitter, record.width, record.height)
        image = self._pixels(raw, record, window)
        sample = self.reader.from_record(image, record)
        if self.loading.jitter:
            sample = through(sample, window.scaled(image.shape[1] / record.width, image.shape[0] / record.height))
        return mirrored(sample) if mirror else sample

    def _pixels(self, raw: RawSample, record: Record, window: Window) -> npt.NDArray[np.uint8]:
        size = self.loading.network_size
        scale = size.scale_of(window.width, window.height) if size else 1.0
        image = decode_rgb(raw.image, self._name(raw), upright=record.upright, scale=scale)
        sizes = {(math.ceil(record.height / by), math.ceil(record.width / by)) for by in (_REDUCED if size else (1,))}
        if image.shape[:2] not in sizes:
            raise DataError(
                f"{self._name(raw)}: an image of {image.shape[1]} × {image.shape[0]} pixels, but its record says "
                f"{record.width} × {record.height}; prepare the dataset again"
            )
        return image

    def _check_row(self, raw: RawSample, record: Record) -> None:
        if record.key != raw.row.key:
            raise DataError(
                f"{self._name(raw)}: the record of {record.key} stands there; index and shard do not belong together, "
                "prepare the dataset again"
            )

    def _name(self, raw: RawSample) -> str:
        return f"{self.reader.dataset.uri}/{raw.row.shard}: {raw.row.key}"
