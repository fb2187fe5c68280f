"""The registered model as MLflow keeps it: the model folder, the code that runs it, its environment, its signature and
an input example."""

import shutil
import tempfile
from collections.abc import Mapping
from importlib.metadata import version as installed_version
from importlib.resources import files
from pathlib import Path
from typing import Any

from data_prep.storage.storage import exists, local_copy
from maskx_model.artifacts.model_folder import CALIBRATION, read_model_manifest
from maskx_model.registry.example import example_request

REQUIREMENTS = (
    "mlflow",
    "msgspec",
    "numpy",
    "pandas",
    "pillow",
    "psutil",
    "pyarrow",
    "pycocotools",
    "safetensors",
    "torch",
    "torchvision",
    "webdataset",
)
"""What the registered model's code imports."""


def log_model(model: str, run_id: str, texts: Mapping[str, str]) -> Any:
    """Log a model folder to a run, with all that serving it takes and with `texts`, by their files' names; returns
    MLflow's description of it."""
    import mlflow

    with tempfile.TemporaryDirectory() as folder, mlflow.start_run(run_id=run_id):
        return mlflow.pyfunc.log_model(
            name="model",
            python_model=str(files("maskx_model.inference") / "serving_model.py"),
            artifacts={"model": str(_copy_model(model, Path(folder))), **_write(texts, Path(folder))},
            code_paths=_copy_code(Path(folder)),
            signature=_signature(),
            input_example=example_request(),
            pip_requirements=[f"{each}=={_release(each)}" for each in REQUIREMENTS],
        )


def _write(texts: Mapping[str, str], folder: Path) -> dict[str, str]:
    """The files of those texts, by name without suffix."""
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return {Path(name).stem: str(folder / name) for name in texts}


def download_model(name: str, number: str, folder: str) -> str:
    """Fetch the model folder of a registered version into `folder`; returns where it stands."""
    import mlflow

    source = f"models:/{name}/{number}/artifacts/model"
    return str(mlflow.artifacts.download_artifacts(source, dst_path=folder))


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
