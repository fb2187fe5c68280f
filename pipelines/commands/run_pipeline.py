"""`maskx pipeline run`."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from data_prep.arguments import Grouped, optional
from data_prep.storage.storage import local_path, write
from maskx_model.cli.arguments import MaskClasses
from maskx_model.cli.run_options import ConfigurationOptions, preset_or
from pipelines.our_packages import check_packages


def run_pipeline(
    out: Path,
    *,
    preset: Annotated[str | None, preset_or("toy")] = None,
    data: Annotated[Path | None, optional("FOLDER", "preset toy generates its data")] = None,
    mask_classes: MaskClasses = None,
    seed: Annotated[int | None, optional("N", "that of the configuration")] = None,
    estimate: bool = False,
    registered_name: Annotated[str, arg(metavar="NAME")] = "maskx",
    root: Annotated[str | None, optional("URI", "the run's folder")] = None,
    tracking_uri: Annotated[
        str | None, optional("URI", "MLFLOW_TRACKING_URI, else a file, mlflow.db, in the run's folder")
    ] = None,
    configuration: Grouped[ConfigurationOptions],
) -> None:
    """Run the whole pipeline on this machine: data, detector, masks, evaluation, registry.

    The same command again resumes: a finished step is not run a second time.

    Args:
        out: Folder for everything that the run makes. The results are in summary.json and evaluation/report.html, the
            whole configuration in config.yaml.
        preset: The configuration to run.
        data: Folder with `coco/`, COCO's files or your own in its format, with `visual_genome/`, or with both.
        mask_classes: The classes whose masks training may use: `coco` (all that have some), `voc`, `non-voc`,
            `random:N:SEED`, `figure3:N:TRIAL` (the paper's random splits: N 20 to 60, TRIAL 1 to 5), `toy` (the
            generated world's), or the path of a text file with a class name per line.
        seed: Seed of the trainings, and of the toy world.
        estimate: Estimate AP on the classes without masks by leaving classes out, for the gates and the model card. It
            trains eight more heads; a pipeline on a cluster does it unless told not to.
        registered_name: The model's name in the registry.
        root: Where data, models and evaluation go instead, such as s3://BUCKET/PREFIX.
        tracking_uri: MLflow's tracking server.

    Example:
        maskx pipeline run --preset toy --out runs/demo
    """
    check_packages()
    from maskx_model.configure.yaml_text import to_yaml
    from maskx_model.preflight.request import CONFIG
    from maskx_model.registry.credentials import to_environment
    from pipelines.local import run_locally
    from pipelines.plan import arguments_of
    from pipelines.summary import table, write_summary

    out = local_path(out)
    chosen = configuration.of(preset, "toy")
    chosen = chosen if seed is None else replace(chosen, seed=seed)
    arguments = {**arguments_of(out, chosen, data, mask_classes), "estimate": estimate}
    out.mkdir(parents=True, exist_ok=True)
    write(out / CONFIG, to_yaml(chosen).encode())
    tracking = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{out.resolve()}/mlflow.db"
    tracking = to_environment(tracking)
    arguments |= {"root": (root or str(out)).rstrip("/"), "registered_name": registered_name, "tracking_uri": tracking}
    model_uri = run_locally(arguments, out)
    print(f"\n{table(write_summary(out, arguments['root'], model_uri))}")
