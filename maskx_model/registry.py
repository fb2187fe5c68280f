"""The model registry: versions of a name, of which the alias `champion` is the one to use.

A new version becomes the champion when its mask AP on B is at least the present champion's, measured on the same
photographs and the same A; otherwise it is the `challenger`, and `promote` is for people who know better.
"""

import re
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

from data_prep.format.errors import ConfigError
from data_prep.format.storage import absolute, local_copy
from maskx_model.checkpoint import read_model_manifest
from maskx_model.run_record import RunRecord, gather
from maskx_model.tracking import connected, describe, experiment_id, logged_run, resolve_tracking_uri

CHAMPION = "champion"
CHALLENGER = "challenger"
NAME = re.compile(r"[A-Za-z0-9._-]+")
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
    preset: str | None = None,
) -> str:
    """Log a trained and evaluated model to MLflow, register it, and decide whether it is the champion.

    `model`: a finished model folder; `evaluation`: the folder that `maskx evaluate` wrote for it; `stages`: folders of
    the trainings whose curves belong to it besides its own; `dataset`: the prepared dataset; `preset`: the name of the
    preset it was trained with. The same model registers once: asked again, its version is found by its hash.

    Returns the version's URI, `models:/<name>/<version>`. Raises CheckpointError or DataError for folders that are not
    finished or do not belong together, TrackingError where MLflow refuses.
    """
    _check_name(name)
    record = gather(model, evaluation, stages, dataset, preset)
    tracking_uri = resolve_tracking_uri(tracking_uri)
    with connected(tracking_uri) as client:
        version = _find(client, name, record.model_sha256)
        if version is None:
            experiment = experiment_id(client, tracking_uri, name)
            with logged_run(client, experiment, _run_name(model), record) as run_id:
                version = _create_version(client, name, model, run_id, record)
        _decide(client, name, version, record)
    return f"models:/{name}/{version.version}"


def promote(name: str, version: str | int, tracking_uri: str | None = None) -> str:
    """Make a version, given by its number or alias, the champion whatever its numbers; returns its URI.

    The version that was the champion keeps no alias. Raises ConfigError if there is no such version.
    """
    _check_name(name)
    with connected(resolve_tracking_uri(tracking_uri)) as client:
        number = _number(client, name, str(version))
        client.set_registered_model_alias(name, CHAMPION, number)
        if _aliases(client, name).get(CHALLENGER) == number:
            client.delete_registered_model_alias(name, CHALLENGER)
    return f"models:/{name}/{number}"


def why_not_champion(record: RunRecord, champion: Mapping[str, str] | None) -> str | None:
    """Why a model does not take the place of the present champion, given that version's tags; None: it does."""
    if champion is None:
        return None
    if champion.get("test_set") != record.test_set:
        return "it was measured on other photographs, or with other classes in A and B"
    if record.mask_ap_b is None or record.mask_ap_b < float(champion.get("mask_ap_b", "-inf")):
        return f"its mask AP on B is {record.mask_ap_b}, the champion's {champion.get('mask_ap_b')}"
    return None


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

        source = f"models:/{name}/{_number(client, name, version)}/artifacts/model"
        yield mlflow.artifacts.download_artifacts(source, dst_path=folder)


def _run_name(model: str) -> str:
    """With the folder above: all runs of the pipeline call their models the same."""
    return "/".join(absolute(model).split("/")[-2:])


def _find(client: Any, name: str, model_sha256: str) -> Any:
    found = client.search_model_versions(f"name = '{name}' AND tags.model_sha256 = '{model_sha256}'")
    return found[0] if found else None


def _create_version(client: Any, name: str, model: str, run_id: str, record: RunRecord) -> Any:
    logged = _log_pyfunc(model, run_id)
    # The tags are part of the same transaction: a version without its hash would be registered twice.
    tags = {"model_sha256": record.model_sha256, "kind": record.kind, "test_set": record.test_set}
    if record.mask_ap_b is not None:
        tags["mask_ap_b"] = str(record.mask_ap_b)
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name)
    return client.create_model_version(
        name,
        source=logged.model_uri,
        run_id=run_id,
        tags=tags,
        description=describe(record),
        model_id=logged.model_id,
    )


def _log_pyfunc(model: str, run_id: str) -> Any:
    import mlflow

    with tempfile.TemporaryDirectory() as folder, mlflow.start_run(run_id=run_id), warnings.catch_warnings():
        # MLflow advises an input example, which would be a photograph of somebody's data set.
        warnings.filterwarnings("ignore", category=UserWarning, module="mlflow")
        return mlflow.pyfunc.log_model(
            name="model",
            python_model=str(Path(__file__).with_name("serving_model.py")),
            artifacts={"model": str(_copy_model(model, Path(folder)))},
            code_paths=_copy_code(Path(folder)),
            signature=_signature(),
            pip_requirements=[f"{each}=={_release(each)}" for each in REQUIREMENTS],
        )


def _copy_model(model: str, folder: Path) -> Path:
    """The finished files only: a training's checkpoints stay where they are."""
    target = folder / "model"
    target.mkdir()
    for file in ("manifest.json", *read_model_manifest(model).files):
        shutil.copyfile(local_copy(f"{model}/{file}"), target / file)
    return target


def _copy_code(folder: Path) -> list[str]:
    """The two packages that the model's code imports, as MLflow wants them: a folder each."""
    room = Path(__file__).parent
    for package, parts in ((room, ["."]), (room.parent / "data_prep", ["__init__.py", "format"])):
        for part in parts:
            source, target = package / part, folder / "code" / package.name / part
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)
    return [str(folder / "code" / name) for name in ("maskx_model", "data_prep")]


def _signature() -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types.schema import Array, ColSpec, DataType, Object, Property, Schema

    mask = Object([Property("size", Array(DataType.long)), Property("counts", DataType.string)])
    outputs = [
        ColSpec(Array(Array(DataType.double)), "boxes"),
        ColSpec(Array(DataType.string), "labels"),
        ColSpec(Array(DataType.double), "scores"),
        ColSpec(Array(mask), "masks"),
    ]
    return ModelSignature(inputs=Schema([ColSpec(DataType.binary, "image")]), outputs=Schema(outputs))


def _release(package: str) -> str:
    """The installed version without a build's local part (`2.8.0+cpu`), which no package index has."""
    return installed_version(package).partition("+")[0]


def _decide(client: Any, name: str, version: Any, record: RunRecord) -> None:
    """Give the version its alias, once: a champion that was replaced later does not come back by registering again."""
    if "decision" in version.tags:
        return
    champion = _aliases(client, name).get(CHAMPION)
    present = None if champion is None else client.get_model_version(name, champion).tags
    reason = why_not_champion(record, present)
    alias = CHAMPION if reason is None else CHALLENGER
    client.set_registered_model_alias(name, alias, version.version)
    client.set_model_version_tag(name, version.version, "decision", alias)
    uri = f"models:/{name}/{version.version}"
    if reason is None:
        print(f"{uri} is the champion", file=sys.stderr)
    else:
        remedy = f"`maskx model promote {version.version} --name {name}` makes it the champion anyway"
        print(f"{uri} is the challenger, version {champion} stays the champion: {reason}; {remedy}", file=sys.stderr)


def _aliases(client: Any, name: str) -> dict[str, str]:
    """Alias → version number, of a name that may not exist yet."""
    found = client.search_registered_models(f"name = '{name}'")
    return {alias: str(version) for alias, version in found[0].aliases.items()} if found else {}


def _number(client: Any, name: str, version: str) -> str:
    aliases = _aliases(client, name)
    numbers = {str(each.version) for each in client.search_model_versions(f"name = '{name}'")}
    number = aliases.get(version, version)
    if number not in numbers:
        known = ", ".join([*sorted(numbers, key=int), *sorted(aliases)]) or "none; `maskx model register` makes one"
        raise ConfigError(f"{name!r} has no version {version!r} in the registry (there are: {known})")
    return number


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise ConfigError(f"name {name!r}: use letters, digits, dots, dashes and underscores only")
