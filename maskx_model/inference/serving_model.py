"""The registered model: image bytes in, boxes, labels, scores and masks out.

MLflow copies this file into the registered model and runs it there ("models from code"). The code that it imports of
`maskx_model` and `data_prep` is copied along, so no installed maskx is needed.
"""

import base64
import binascii
from typing import TYPE_CHECKING, Any

import mlflow
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import PythonModel

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from maskx_model.results.instances import Instances


class SegmentationModel(PythonModel):
    """A Mask^X R-CNN behind MLflow's `predict`."""

    def load_context(self, context: Any) -> None:
        """Loads the model folder that travels with the registered model, onto the GPU where there is one."""
        from maskx_model.inference.segmenter import Segmenter

        self._segmenter = Segmenter.load(context.artifacts["model"])

    def predict(self, model_input: pd.DataFrame) -> list[dict[str, Any]]:
        """Returns a dictionary for each row of the column `image`: JPEG or PNG bytes, or the same in base64.

        Each has, sorted by falling score: `boxes` [N, 4], (x1, y1, x2, y2) in pixels of the image; `labels` [N], class
        names; `scores` [N] in 0..1; `masks` [N], compressed COCO run lengths over the whole image. Raises
        MlflowException (HTTP 400 when served) naming the first row that is not a readable image.
        """
        images = [_decode(cell, position) for position, cell in enumerate(model_input["image"])]
        names = self._segmenter.vocabulary.names
        return [_as_columns(self._segmenter.segment(image), names) for image in images]


def _decode(cell: object, position: int) -> "npt.NDArray[np.uint8]":
    from data_prep.format.images import decode_rgb
    from data_prep.storage.errors import DataError

    try:
        if isinstance(cell, str):
            cell = base64.b64decode(cell)
        if not isinstance(cell, bytes | bytearray):
            raise DataError(f"row {position} of `image`: {type(cell).__name__} instead of the bytes of a JPEG or PNG")
        return decode_rgb(bytes(cell), f"row {position} of `image`")
    except DataError as error:
        raise MlflowException.invalid_parameter_value(str(error)) from None
    except (binascii.Error, ValueError):
        message = f"row {position} of `image`: a text that is not base64; send JPEG or PNG bytes in base64"
        raise MlflowException.invalid_parameter_value(message) from None


def _as_columns(instances: "Instances", names: tuple[str, ...]) -> dict[str, Any]:
    return {
        "boxes": instances.boxes.astype(float).tolist(),
        "labels": [names[label] for label in instances.labels],
        "scores": instances.scores.astype(float).tolist(),
        "masks": [{"size": list(mask.size), "counts": mask.counts} for mask in instances.masks],
    }


mlflow.models.set_model(SegmentationModel())
