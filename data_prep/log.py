"""What the libraries log, on standard error: commands and pipeline steps show it, who imports the libraries decides."""

import logging
import os
import sys

LIBRARIES = ("data_prep", "maskx_model")


class _Text(logging.Formatter):
    """The message alone; from WARNING on with its level in front."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        return text if record.levelno < logging.WARNING else f"{record.levelname.lower()}: {text}"


class _AboveBars(logging.Handler):
    """Writes to the standard error of the moment; progress bars are drawn again below."""

    def emit(self, record: logging.LogRecord) -> None:
        from tqdm import tqdm

        tqdm.write(self.format(record), file=sys.stderr)


_HANDLER = _AboveBars()
_HANDLER.setFormatter(_Text())


def show_log() -> None:
    """Write what data_prep and maskx_model log, from INFO on, to standard error, a line a message.

    The root logger gets none of it: where Beam, MLflow or KFP have given it a handler, nothing appears twice. Of the
    processes that torchrun started the first tells all, the others their warnings.
    """
    first = os.environ.get("RANK", "0") == "0"
    for name in LIBRARIES:
        logger = logging.getLogger(name)
        logger.addHandler(_HANDLER)
        logger.setLevel(logging.INFO if first else logging.WARNING)
        logger.propagate = False
