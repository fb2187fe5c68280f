"""Where a training's spool stands: in its folder; for one in object storage on this machine, until the training ends.

What is not sent by then is written to the folder, where the next start finds it on whatever machine.
"""

from pathlib import Path

from data_prep.storage.scratch import scratch_folder
from data_prep.storage.storage import absolute, is_on_disk, list_files, local_path, read, remove_folder, write
from maskx_model.registry.live_runs import hash_of
from maskx_model.registry.live_spool import RUN, LiveDescription, Spool

TRACKING = "tracking"
"""The spool's folder in a stage's folder."""


def new_spool(out: str, description: LiveDescription) -> Spool:
    """The stage's spool to add to, with what an earlier start has left."""
    return Spool(_fetched(out), description)


def left_spool(out: str) -> Spool | None:
    """The spool that trainings in that folder have left; None where none was followed, or nothing is left of it."""
    folder = _fetched(out)
    return Spool(folder) if (folder / RUN).exists() else None


def leave(out: str, spool: Spool) -> None:
    """Put the spool where it is found again, or clear it if all is sent."""
    if not spool.waits:
        spool.clear()
    if is_on_disk(out):
        return
    remove_folder(f"{out}/{TRACKING}")
    if spool.waits:
        for name in list_files(spool.folder):
            write(f"{out}/{TRACKING}/{name}", read(spool.folder / name))


def _fetched(out: str) -> Path:
    if is_on_disk(out):
        return local_path(out) / TRACKING
    folder = scratch_folder() / TRACKING / hash_of(absolute(out))
    for name in list_files(f"{out}/{TRACKING}") if not (folder / RUN).exists() else []:
        write(folder / name, read(f"{out}/{TRACKING}/{name}"))
    return folder
