"""Commands and pipeline steps show what the libraries log; a program that imports the libraries decides for itself."""

import logging
import subprocess
import sys

import pytest
from tqdm import tqdm

from data_prep.log import LIBRARIES, show_log


@pytest.mark.parametrize("library", LIBRARIES)
def test_information_is_shown_as_it_is_and_warnings_by_name(library: str, capsys: pytest.CaptureFixture[str]) -> None:
    show_log()
    logger = logging.getLogger(f"{library}.some.module")
    logger.debug("too much")
    logger.info("%d images", 3)
    logger.warning("one is %s", "torn")
    out, err = capsys.readouterr()
    assert (out, err) == ("", "3 images\nwarning: one is torn\n")


def test_a_message_appears_once_whoever_else_has_set_up_logging(capsys: pytest.CaptureFixture[str]) -> None:
    root, other = logging.getLogger(), logging.StreamHandler(sys.stderr)
    root.addHandler(other)
    try:
        show_log()
        show_log()
        logging.getLogger("data_prep.some.module").warning("torn")
    finally:
        root.removeHandler(other)
    assert capsys.readouterr().err == "warning: torn\n"


def test_a_message_gets_a_line_of_its_own_above_a_progress_bar(capsys: pytest.CaptureFixture[str]) -> None:
    show_log()
    with tqdm(total=2, desc="shards", file=sys.stderr, mininterval=0) as bar:
        bar.update()
        logging.getLogger("data_prep.some.module").info("torn")
        bar.update()
    lines = [line.rpartition("\r")[2] for line in capsys.readouterr().err.splitlines()]
    assert "torn" in lines and "2/2" in lines[-1]


def test_libraries_that_are_imported_show_no_information() -> None:
    program = "import logging, data_prep.log; logging.getLogger('data_prep').info('noise')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr == ""
