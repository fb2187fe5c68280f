"""The model registry: versions of a name, of which the alias `champion` is the one to use.

A new version becomes the champion when its AP is at least the present champion's, measured on the same ground truth and
the same B; otherwise it is the `challenger`. Compared is the first of mask AP on B, on all classes, and box AP that
both have. `promote` is for people who know better.
"""

import re
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version as installed_version
from importlib.resources import files
from pathlib import Path
from typing import Any

from data_prep.storage.errors import ConfigError
from data_prep.storage.storage import absolute, exists, local_copy
from maskx_model.artifacts.model_folder import CALIBRATION, read_model_manifest
from maskx_model.registry.live_register import followed_stages
from maskx_model.registry.mlflow_run import connected, describe, experiment_id, logged_run, resolve_tracking_uri
from maskx_model.registry.promotion import give_alias
from maskx_model.registry.run_contents import RunContents, gather
from maskx_model.registry.versions import NAME, check_name, version_number
from maskx_model.run_config import RunConfig

ADDRESS = re.compile(rf"models:/({NAME.pattern})[/@]({NAME.pattern})")
REQUIREMENTS = (
    "mlflow",
    "msgspec",
    "numpy",
    "pandas",
    "pillow",
    "pyarrow",
    "pycocotools",
    "safetensors",
    "torch",
    "torchvision",
    "webdataset",
)
"""What the registered model's code imports."""


def register(
    model: str,
    evaluation: str,
    name: str = "maskx",
    tracking_uri: str | None = None,
    stages: tuple[str, ...] = (),
    dataset: str | None = None,
    preset: RunConfig | None = None,
) -> str:
    """Log a trained and evaluated model to MLflow, register it, and decide whether it is the champion.

    `model`: a finished model folder; `evaluation`: the folder that `maskx evaluate` wrote for it; `stages`: folders of
    the trainings whose curves belong to it besides its own; `dataset`: the prepared dataset; `preset`: the
    configuration it was trained with. The same model registers once: asked again, its version is found by its hash.

    Returns the version's URI, `models:/<name>/<version>`. Raises CheckpointError or DataError for folders that are not
    finished or do not belong together, TrackingError where MLflow refuses.
    """
    check_name(name)
    contents = gather(model, evaluation, stages, dataset, preset)
    tracking_uri = resolve_tracking_uri(tracking_uri)
    with connected(tracking_uri) as client:
        live = followed_stages(client, tracking_uri, (*stages, model))
        version = _find(client, name, contents.model_sha256)
        if version is None:
            experiment = live.experiment or experiment_id(client, tracking_uri, name)
            with logged_run(client, experiment, _run_name(model), live.without_curves(contents), live.tags) as run_id:
                version = _create_version(client, name, model, run_id, contents)
        give_alias(client, name, version, contents)
    return f"models:/{name}/{version.version}"


@contextmanager
def fetched_model(uri: str, tracking_uri: str | None = None) -> Iterator[str]:
    """The model folder of a registered model, `models:/<name>/<version>` or `models:/<name>@<alias>`, until the block
    ends; raises ConfigError if there is no such version."""
    address = ADDRESS.fullmatch(uri)
    if address is None:
        raise ConfigError(
            f"{uri}: write models:/NAME/VERSION or models:/NAME@ALIAS, for example models:/maskx@champion"
        )
    name, version = address.groups()
    with tempfile.TemporaryDirectory() as folder, connected(resolve_tracking_uri(tracking_uri)) as client:
        import mlflow

        source = f"models:/{name}/{version_number(client, name, version)}/artifacts/model"
        yield mlflow.artifacts.download_artifacts(source, dst_path=folder)


def _run_name(model: str) -> str:
    """With the folder above: all runs of the pipeline call their models the same."""
    return "/".join(absolute(model).split("/")[-2:])


def _find(client: Any, name: str, model_sha256: str) -> Any:
    found = client.search_model_versions(f"name = '{name}' AND tags.model_sha256 = '{model_sha256}'")
    return found[0] if found else None


def _create_version(client: Any, name: str, model: str, run_id: str, contents: RunContents) -> Any:
    logged = _log_pyfunc(model, run_id)
    # The tags are part of the same transaction: a version without its hash would be registered twice.
    tags = {"model_sha256": contents.model_sha256, "kind": contents.kind, "test_set": contents.test_set}
    tags |= {name: str(value) for name, value in contents.ap.items()}
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name)
    return client.create_model_version(
        name,
        source=logged.model_uri,
        run_id=run_id,
        tags=tags,
        description=describe(contents),
        model_id=logged.model_id,
    )


def _log_pyfunc(model: str, run_id: str) -> Any:
    import mlflow

    with tempfile.TemporaryDirectory() as folder, mlflow.start_run(run_id=run_id), warnings.catch_warnings():
        # MLflow advises an input example, which would be an image of somebody's data set.
        warnings.filterwarnings("ignore", category=UserWarning, module="mlflow")
        return mlflow.pyfunc.log_model(
            name="model",
            python_model=str(files("maskx_model.inference") / "serving_model.py"),
            artifacts={"model": str(_copy_model(model, Path(folder)))},
            code_paths=_copy_code(Path(folder)),
            signature=_signature(),
            pip_requirements=[f"{each}=={_release(each)}" for each in REQUIREMENTS],
        )


def _copy_model(model: str, folder: Path) -> Path:
    """The finished files only, and a calibration: a training's checkpoints stay where they are."""
    target = folder / "model"
    target.mkdir()
    later = [CALIBRATION] if exists(f"{model}/{CALIBRATION}") else []
    for file in ("manifest.json", *read_model_manifest(model).files, *later):
        shutil.copyfile(local_copy(f"{model}/{file}"), target / file)
    return target


def _copy_code(folder: Path) -> list[str]:
    """Copy what the model's code imports and return its two packages' folders."""
    model = files("maskx_model")
    data = files("data_prep")
    for package, parts in ((model, ["."]), (data, ["__init__.py", "format", "pages", "storage"])):
        source, target = Path(str(package)), folder / "code" / package.name
        for part in parts:
            if (source / part).is_dir():
                shutil.copytree(source / part, target / part, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                target.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source / part, target / part)
    return [str(folder / "code" / package.name) for package in (model, data)]


def _signature() -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types.schema import AnyType, Array, ColSpec, DataType, Object, Property, Schema

    mask = Object([Property("size", Array(DataType.long)), Property("counts", DataType.string)])
    outputs = [
        ColSpec(Array(Array(DataType.double)), "boxes"),
        ColSpec(Array(DataType.string), "labels"),
        ColSpec(Array(DataType.double), "scores"),
        ColSpec(Array(mask), "masks"),
    ]
    # As `binary`, MLflow would decode the text of a request itself, and leave out what is not base64: data URIs and
    # URL-safe base64 would arrive as other bytes.
    return ModelSignature(inputs=Schema([ColSpec(AnyType(), "image")]), outputs=Schema(outputs))


def _release(package: str) -> str:
    """The installed version without a build's local part (`2.8.0+cpu`), which no package index has."""
    return installed_version(package).partition("+")[0]
