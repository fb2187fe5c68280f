"""The machines that a training asks for: so many nodes, each with so many accelerators."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Machines:
    """Nodes and what each of them has; numbers and sizes are texts, as pods have them.

    `nodes`: their number. `kind`: Kubernetes' name for the accelerator; `count`: how many of them a node has, "0" for
    CPUs. `node_selector`, `tolerations`: of the nodes' pool, as Kubernetes writes them. `cpu`, `memory`: requested of
    each node where there are several.
    """

    nodes: str = "1"
    kind: str = "nvidia.com/gpu"
    count: str = "0"
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Mapping[str, str], ...] = ()
    cpu: str = "1"
    memory: str = "4Gi"

    @property
    def ranks_of_a_node(self) -> int:
        """One for each accelerator; one on CPUs."""
        return max(1, int(self.count))

    @property
    def ranks(self) -> int:
        """The processes of the training, which share each batch."""
        return int(self.nodes) * self.ranks_of_a_node

    @property
    def several_nodes(self) -> bool:
        """Whether the training needs a TrainJob."""
        return int(self.nodes) > 1


ON_CPUS = Machines()


def processes_on(cpu: str) -> int:
    """The number of worker processes for a step's CPUs, which are written as Kubernetes does (`8`, `500m`): at least 1,
    at most this machine's cores."""
    return max(1, min(int(quantity(cpu)), os.cpu_count() or 1))


def quantity(text: str) -> float:
    """The number that Kubernetes writes as `text`, such as 500m or 16Gi."""
    from kubernetes.utils.quantity import parse_quantity

    return float(parse_quantity(text))
