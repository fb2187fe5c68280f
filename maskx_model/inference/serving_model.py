"""The registered model: image bytes in, boxes, labels, scores and masks out.

MLflow copies this file into the registered model and runs it there ("models from code"). The code that it imports of
`maskx_model` and `data_prep` is copied along, so no installed maskx is needed.
"""

import base64
from typing import TYPE_CHECKING, Any

import mlflow
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import PythonModel

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from maskx_model.results.instances import Instances


NAMED_IN_ERROR = 5


class SegmentationModel(PythonModel):
    """A Mask^X R-CNN behind MLflow's `predict`."""

    def load_context(self, context: Any) -> None:
        """Loads the model folder that travels with the registered model, onto the GPU where there is one."""
        from maskx_model.inference.segmenter import Segmenter

        self._segmenter = Segmenter.load(context.artifacts["model"])

    def predict(self, model_input: pd.DataFrame) -> list[dict[str, Any]]:
        """Returns a dictionary for each row of the column `image`: the bytes of an image (JPEG, PNG, WebP, BMP, TIFF or
        GIF), or the same as text: base64, URL-safe base64, or a `data:` URI.

        Images are read upright, as their EXIF data say. Each dictionary has, sorted by falling score: `boxes` [N, 4],
        (x1, y1, x2, y2) in pixels of the upright image; `labels` [N], class names; `scores` [N] in 0..1; `masks` [N],
        compressed COCO run lengths over the whole image. Raises MlflowException (HTTP 400 when served) naming the rows
        that are not readable images; then none is computed.
        """
        from data_prep.storage.errors import DataError

        images, broken = [], []
        for position, cell in enumerate(model_input["image"]):
            try:
                images.append(_decode(cell, f"row {position} of `image`"))
            except DataError as error:
                broken.append(str(error))
        if broken:
            more = f"; and {len(broken) - NAMED_IN_ERROR} more rows" if len(broken) > NAMED_IN_ERROR else ""
            raise MlflowException.invalid_parameter_value("; ".join(broken[:NAMED_IN_ERROR]) + more)
        names = self._segmenter.vocabulary.names
        return [_as_columns(self._segmenter.segment(image), names) for image in images]


def _decode(cell: object, name: str) -> "npt.NDArray[np.uint8]":
    from data_prep.format.images import decode_rgb
    from data_prep.storage.errors import DataError

    if isinstance(cell, str):
        cell = _of_text(cell, name)
    if not isinstance(cell, bytes | bytearray | memoryview):
        raise DataError(f"{name}: {type(cell).__name__} instead of an image's bytes, or their base64 as text")
    return decode_rgb(bytes(cell), name, upright=True)


def _of_text(text: str, name: str) -> bytes:
    """The bytes that a text stands for; raises DataError if it is none of the forms that are taken."""
    from data_prep.storage.errors import DataError

    encoded = text.strip()
    if encoded[:5].lower() == "data:":
        head, comma, encoded = encoded.partition(",")
        if not comma or not head.lower().endswith(";base64"):
            raise DataError(f"{name}: a data: URI without base64; send data:image/jpeg;base64,…")
    plain = "".join(encoded.split()).replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except ValueError:
        raise DataError(
            f"{name}: a text that is not base64 ({text[:20]!r}); send an image's bytes in base64, or a data: URI"
        ) from None


def _as_columns(instances: "Instances", names: tuple[str, ...]) -> dict[str, Any]:
    return {
        "boxes": instances.boxes.astype(float).tolist(),
        "labels": [names[label] for label in instances.labels],
        "scores": instances.scores.astype(float).tolist(),
        "masks": [{"size": list(mask.size), "counts": mask.counts} for mask in instances.masks],
    }


mlflow.models.set_model(SegmentationModel())
