"""A preflight's request, and what is wrong with it."""

from collections.abc import Callable

import pytest

from data_prep.storage.errors import ConfigError
from maskx_model.preflight.preflight import preflight
from maskx_model.preflight.request import Request

Requested = Callable[..., Request]
READS_COCO = ("stage1_source=coco",)
"""Where the toy preset reads boxes from vg."""


def problems(request: Request) -> list[str]:
    with pytest.raises(ConfigError) as error:
        preflight(request)
    first, *rest = str(error.value).split("\n")
    return [line.removeprefix("- ") for line in rest] or [first]
