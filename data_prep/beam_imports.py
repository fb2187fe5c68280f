"""Beam, without what it imports for the mere reason that it is installed."""

import sys


def import_beam() -> None:
    """Import Beam for the first time in this process, if it has not been.

    It imports pandas where there is one, for data frames, which nobody here has: 30 MB and 0.3 seconds in each process.
    Whoever imports pandas later finds it.
    """
    if "pandas" in sys.modules or "apache_beam" in sys.modules:
        return
    sys.modules["pandas"] = None  # type: ignore[assignment]  # Python's own way to say that there is none
    try:
        import apache_beam  # noqa: F401
    finally:
        del sys.modules["pandas"]
