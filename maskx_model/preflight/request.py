"""What a pipeline is asked for: its parameters, as the first step gets them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from maskx_model.launch.machines import ON_CPUS, Machines

CONFIG = "config.yaml"
"""The file below the root that holds the newest run's whole configuration, for people."""
AS_CONFIGURED = -1
"""In place of a number: as the configuration says. Older back ends of Kubeflow Pipelines refuse a missing number."""


@dataclass(frozen=True)
class Request:
    """A pipeline's parameters; texts may be empty and numbers AS_CONFIGURED, for what the configuration says.

    `root`: URI below which everything is written; `dated`: in a folder there that is named by the time. `sources`: as
    `maskx data prepare` takes them; empty for the preset's toy world. `classes`: 0 for all. `weights`: a file with the
    backbone's weights. `machines`: those of each training. `sizes`: CPU and memory of the steps, by the names of the
    pipeline's parameters. `run_id`: what the orchestrator calls the run.
    `only_if_changed`: end early if a registered version has the same fingerprint. `registers`: whether a version is
    registered at the end, so that name and tracking server have to be right.
    """

    root: str
    tracking_uri: str
    sources: tuple[str, ...] = ()
    preset: str = ""
    config: str = ""
    overrides: tuple[str, ...] = ()
    classes: int = AS_CONFIGURED
    max_rejected: float = AS_CONFIGURED
    exif: str = "auto"
    mask_classes: str = ""
    seed: int = AS_CONFIGURED
    weights: str = ""
    registered_name: str = "maskx"
    machines: Machines = ON_CPUS
    sizes: Mapping[str, str] = field(default_factory=dict)
    run_id: str = "local"
    dated: bool = False
    only_if_changed: bool = False
    registers: bool = True
