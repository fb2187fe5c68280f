"""`python -m maskx_model.launch.rank TRAINING`: one rank of a training, as torchrun starts it.

What it raises goes into the file that torchrun reads, so that the error of the first rank that fails is told.
"""

import sys

import msgspec
from torch.distributed.elastic.multiprocessing.errors import record

from data_prep.log import show_log
from maskx_model.launch.training import StageTraining, train_here


@record
def main() -> None:
    """Train the stage that the argument describes."""
    show_log()
    train_here(msgspec.json.decode(sys.argv[1], type=StageTraining))


if __name__ == "__main__":
    main()
