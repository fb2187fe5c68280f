"""`maskx pipeline`: run it here, or compile it for a cluster."""

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from data_prep.storage.errors import ConfigError
from data_prep.storage.storage import local_path, write


def run(
    out: Path,
    *,
    preset: str = "toy",
    data: Path | None = None,
    mask_classes: str | None = None,
    seed: int = 0,
    registered_name: str = "maskx",
    tracking_uri: str | None = None,
) -> None:
    """Run the whole path on this machine: data, detector, masks, evaluation, registry.

    Given again with the same folder it goes on where it stopped: a step that is finished is not done again.

    Args:
        out: Folder for everything the run makes; summary.json and evaluation/report.html tell what came out.
        preset: `toy` (generates its data), `real_sample`, `coco_r50` or `vg3000_r101`.
        data: Folder with `coco/` and `visual_genome/` as the public data sets come.
        mask_classes: The classes whose masks training may see: `coco`, `voc`, `non-voc`, `random:N:SEED`,
            `figure3:N:TRIAL` (the paper's random splits: N 20 to 60, TRIAL 1 to 5), or the path of a text file with a
            class name per line. By default what the preset says.
        seed: Seed of the trainings, and of the toy world.
        registered_name: The name in the model registry.
        tracking_uri: MLflow's tracking server; by default MLFLOW_TRACKING_URI, else a file, mlflow.db, in the
            run's folder.
    """
    check_packages()
    from pipelines.local import run_locally
    from pipelines.plan import arguments_of
    from pipelines.summary import table, write_summary

    out = local_path(out)
    arguments = arguments_of(out, preset, data, mask_classes, seed)
    out.mkdir(parents=True, exist_ok=True)
    model_uri = run_locally(
        {
            **arguments,
            "registered_name": registered_name,
            "tracking_uri": tracking_uri
            or os.environ.get("MLFLOW_TRACKING_URI")
            or f"sqlite:///{out.resolve()}/mlflow.db",
        },
        out,
    )
    print(f"\n{table(write_summary(out, model_uri))}")


def compile_(out: Path = Path("maskx_vg3000.yaml"), image: str | None = None) -> None:
    """Write the pipeline as the YAML that Kubeflow Pipelines takes.

    Args:
        out: The file to write.
        image: Your container image (infra/images/Dockerfile), best with its digest: REGISTRY/maskx@sha256:…
    """
    check_packages()
    from components.image import IMAGE
    from pipelines.compiling import compiled

    write(out, compiled(image or IMAGE).encode())
    print(f"{out} written")


def check_packages() -> None:
    """Make sure that `components` and `pipelines` are ours: the names are generic, another may come first.

    Raises:
        ConfigError: one of them is somebody else's; names the folder.
    """
    ours = Path(__file__).parent.parent
    for name in ("components", "pipelines"):
        spec = importlib.util.find_spec(name)
        folders = [] if spec is None else [Path(place) for place in spec.submodule_search_locations or []]
        if folders != [ours / name]:
            found = ", ".join(map(str, folders)) or "nothing"
            raise ConfigError(
                f"the package {name!r} that Python finds is {found}, not maskx's {ours / name}; "
                "take that folder off PYTHONPATH, or run from another folder"
            )


COMMANDS: dict[str, Callable[..., Any]] = {"run": run, "compile": compile_}
