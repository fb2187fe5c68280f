"""The input example of a registered model: a generated picture, nobody's data."""

import base64
import io

import numpy as np
import numpy.typing as npt

WIDTH, HEIGHT = 640, 480


def example_image() -> npt.NDArray[np.uint8]:
    """Two disks and a bar on a gray ramp, uint8 RGB [480, 640, 3]; always the same."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    image = np.repeat((64 + 96 * x // WIDTH)[..., None], 3, axis=2).astype(np.uint8)
    for center_x, center_y, radius, color in ((200, 180, 90, (200, 60, 50)), (430, 280, 120, (50, 90, 200))):
        image[(x - center_x) ** 2 + (y - center_y) ** 2 < radius**2] = color
    image[390:430, 80:560] = (60, 160, 80)
    return image


def example_request() -> list[dict[str, str]]:
    """What the registered model's `predict` takes: a row with the picture as a PNG in base64."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(example_image()).save(file, "PNG", optimize=True)
    return [{"image": base64.b64encode(file.getvalue()).decode()}]
