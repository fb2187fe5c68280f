"""A training on several ranks of this machine, processes that torchrun's agent starts and watches.

`python -m maskx_model.launch.ranks TRAINING` is one node of several, as torchrun's own variables (PET_…) say: the
command of a TrainJob's pods. It exits with REFUSED where trying again would be refused again.
"""

import signal
import sys
from typing import TYPE_CHECKING

import msgspec

from data_prep.log import show_log
from data_prep.storage.errors import CheckpointError, ConfigError, DataError, MaskxError
from maskx_model.launch.runtime import REFUSED
from maskx_model.launch.training import StageTraining
from maskx_model.training.termination import EXIT_CODE, TerminatedError

if TYPE_CHECKING:
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

OTHERS = {"MaskxError", "RuntimeError", "DistBackendError", "DistNetworkError", "DistStoreError"}
"""What a rank raises because another one is gone."""
REFUSALS = (ConfigError, DataError, CheckpointError)
"""What a rank raises because of what it was given."""


def train_on_ranks(training: StageTraining, ranks: int | None = None) -> None:
    """Train on that many ranks; None for what torchrun's variables say.

    SIGTERM reaches the ranks, which save and end; they have 30 seconds, torchrun's own limit.

    Raises:
        TerminatedError: after SIGTERM.
        MaskxError: a rank has failed; the message is its own, and of REFUSALS so is the class.
    """
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import parse_args, run

    here = ["--standalone", f"--nproc-per-node={ranks}"] if ranks else []
    try:
        run(parse_args([*here, "-m", "maskx_model.launch.rank", training.to_json()]))
    except SignalException:
        raise TerminatedError from None
    except ChildFailedError as error:
        if all(failure.exitcode in (EXIT_CODE, -signal.SIGTERM) for failure in error.failures.values()):
            raise TerminatedError from None
        raise _error_of(error) from None


def _error_of(error: "ChildFailedError") -> MaskxError:
    """The error of the rank that failed first, and not because another one had."""
    told = []
    for rank, failure in error.failures.items():
        message = failure.message if isinstance(failure.message, str) else str(failure.message["message"])
        kind = message.partition(":")[0]
        told.append((kind in OTHERS, failure.timestamp, f"rank {rank}: {message}", kind))
    *_, message, kind = min(told)
    return {each.__name__: each for each in REFUSALS}.get(kind, MaskxError)(message)


def main() -> None:
    """Train on this node's ranks the stage that the argument describes."""
    show_log()
    try:
        train_on_ranks(msgspec.json.decode(sys.argv[1], type=StageTraining))
    except REFUSALS as error:
        print(error, file=sys.stderr)
        sys.exit(REFUSED)


if __name__ == "__main__":
    main()
