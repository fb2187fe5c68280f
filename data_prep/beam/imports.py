"""Beam, without what it imports for the mere reason that it is installed."""

import logging
import sys

_FOR_TABLES = ("pandas", "pyarrow")
_FOR_OTHER_PLACES = ("apache_beam.io.gcp.bigquery", "boto3", "google.cloud", "pymongo")


def import_beam(runner: str | None = None) -> None:
    """Import Beam for the first time in this process, if it has not been; `runner` by Beam's name, None for here.

    It imports pandas and pyarrow where they are, for data frames and Parquet files, which nobody here has Beam read;
    and for files and tables in other places the libraries that reach them, which only a runner elsewhere may want. They
    are half of the 1.3 seconds and 90 of the 170 MB that it takes in each process. Whoever imports one of them later
    finds it. Beam's warnings that it found none are not shown.
    """
    if "apache_beam" in sys.modules:
        return
    unwanted = _FOR_TABLES if runner else _FOR_TABLES + _FOR_OTHER_PLACES
    hidden = [name for name in unwanted if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]  # Python's own way to say that there is none
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        import apache_beam  # noqa: F401
    finally:
        logging.disable(disabled)
        for name in hidden:
            del sys.modules[name]
