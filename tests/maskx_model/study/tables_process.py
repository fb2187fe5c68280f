"""A small study of tables in a process of its own, to be killed."""

import sys

from maskx_model.study.tables import TablesOptions, tables
from tests.maskx_model.study.conftest import two_steps

if __name__ == "__main__":
    dataset, detector, out = sys.argv[1:]
    options = TablesOptions(rows=("1a/randn", "1a/cls+box", "1a/oracle"), seeds=(0, 1), max_images=4)
    tables(dataset, out, two_steps(), options, [detector], device="cpu")
