"""What the pods of the training steps ask for: all that a training takes, or what it takes to follow a TrainJob."""

from collections.abc import Mapping
from typing import NamedTuple

from maskx_model.launch.machines import Machines


class OwnPods(NamedTuple):
    """Resources as texts, as the pipeline gives them to pods.

    The first seven are of the steps that train. `one_accelerator`: of steps that use one at most.
    """

    detector_cpu: str
    detector_memory: str
    masks_cpu: str
    masks_memory: str
    train_accelerators: str
    train_node_selector: dict[str, str]
    train_tolerations: list[dict[str, str]]
    one_accelerator: str


def own_pods(machines: Machines, sizes: Mapping[str, str]) -> OwnPods:
    """`sizes`: CPU and memory of the steps, by the names of the pipeline's parameters. Those of a training without its
    own are `cpu` and `memory`."""
    one = str(min(1, int(machines.count)))
    if machines.several_nodes:
        light = (sizes["light_cpu"], sizes["light_memory"])
        return OwnPods(*light, *light, "0", {}, [], one)
    detector, masks = (
        (sizes.get(f"{stage}_cpu") or sizes["cpu"], sizes.get(f"{stage}_memory") or sizes["memory"])
        for stage in ("detector", "masks")
    )
    pool = (dict(machines.node_selector), [dict(each) for each in machines.tolerations])
    return OwnPods(*detector, *masks, machines.count, *pool, one)
