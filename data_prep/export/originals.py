"""The original files of a dataset's images, to link to: where `run.json` says that its sources' images were."""

from pathlib import Path

from data_prep.format.records import Record
from data_prep.prepare.finished import read_run
from data_prep.storage.storage import is_on_disk, local_path


class Originals:
    """Finds an image's file in the folders of the sources that a dataset was made from, as far as they are on disk."""

    def __init__(self, dataset: str) -> None:
        run = read_run(dataset)
        listed = run.folders if run else {}
        self._folders = {
            source: [local_path(f) for f in folders if is_on_disk(f)] for source, folders in listed.items()
        }

    def find(self, record: Record, image: bytes) -> Path | None:
        """The file whose bytes are the image's, under a name that the record has; None if there is none."""
        for source, name in record.names.items():
            for folder in self._folders.get(source, ()):
                path = folder / name
                if path.is_file() and path.stat().st_size == len(image) and path.read_bytes() == image:
                    return path
        return None
