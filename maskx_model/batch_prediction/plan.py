"""What workers are told and what they leave: files in the work folder, `<out>/.predict-batch`."""

from functools import lru_cache

import msgspec

from data_prep.beam.part_files import PartFiles, cut
from data_prep.storage.errors import DataError
from data_prep.storage.own_files import read_own
from data_prep.storage.storage import exists, info, write
from maskx_model.artifacts.origin import Origin
from maskx_model.batch_prediction.images import DatasetImages, FileImages, Images

PART = 32
"""Images of a part: what a worker holds at a time, as files, and loses at most when it is killed."""


class Plan(msgspec.Struct, frozen=True):
    """All that workers need to know: the images, either files or a dataset's. `made_from`: all that decides the output;
    `images`: their number."""

    made_from: Origin
    images: int
    files: list[str]
    dataset: str | None
    split: str | None

    def listed(self) -> Images:
        """The images themselves."""
        return FileImages(self.files) if self.dataset is None else DatasetImages.open(self.dataset, self.split)

    def between(self, part: int) -> tuple[int, int]:
        """The images of a part, from … to before …."""
        return part * PART, min((part + 1) * PART, self.images)

    @property
    def sizes(self) -> list[int]:
        """The number of images of each part."""
        return [end - start for start, end in cut(self.images, PART)]


def work_folder(out: str) -> str:
    """Where everything stands that is needed until the output is whole."""
    return f"{out}/.predict-batch"


def part_files(out: str) -> PartFiles:
    """The predictions of each part (`rows.SCHEMA`)."""
    return PartFiles(f"{work_folder(out)}/parts", ".parquet")


def write_plan(out: str, plan: Plan) -> None:
    """Write the plan: from this moment on the run has begun."""
    write(_plan_uri(out), msgspec.json.encode(plan))


def read_plan(out: str) -> Plan | None:
    """The plan of a run that has begun; None where none has. Raises DataError if it is damaged."""
    return read_own(_plan_uri(out), Plan) if exists(_plan_uri(out)) else None


def opened_plan(out: str) -> tuple[Plan, Images]:
    """The plan and its images, opened once a process; raises DataError if the plan has gone."""
    found = info(_plan_uri(out))
    if found is None:
        raise DataError(f"{out}: its work folder has gone; give the command again")
    return _opened(out, found.version)


@lru_cache(maxsize=1)
def _opened(out: str, _version: int | str) -> tuple[Plan, Images]:
    plan = read_plan(out)
    assert plan is not None
    return plan, plan.listed()


def _plan_uri(out: str) -> str:
    return f"{work_folder(out)}/plan.json"
