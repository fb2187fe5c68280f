"""Where a training runs: in this process, on several ranks of this machine, or on several nodes of the cluster."""

from maskx_model.artifacts.model_folder import holds_model
from maskx_model.launch.machines import Machines
from maskx_model.launch.ranks import train_on_ranks
from maskx_model.launch.train_job import train_on_nodes
from maskx_model.launch.training import StageTraining, train_here


def launch(training: StageTraining, machines: Machines) -> None:
    """Train on these machines; returns when the model is there.

    A model that is there already starts nothing: this process looks whether it is of the same inputs.

    Raises what the stages raise; from several ranks MaskxError with the message of the one that failed; TerminatedError
    after SIGTERM, when the ranks have saved.
    """
    if machines.several_nodes:
        train_on_nodes(training, machines)
    elif machines.ranks == 1 or holds_model(training.out):
        train_here(training)
    else:
        train_on_ranks(training, machines.ranks)
