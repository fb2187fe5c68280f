"""From a model back to the original files' hashes and the code: what its manifests say of what they were made from."""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from data_prep.format.manifest import Source, dataset_hash, read_manifest
from data_prep.storage.errors import JSON_ERRORS, DataError
from maskx_model.artifacts.model_folder import model_hash, read_model_manifest
from maskx_model.artifacts.origin import PACKAGES, Origin

FILE = "lineage.json"
CODE = (*PACKAGES, "commit")
SHORT = 12
"""Digits of a hash that the text shows; the JSON has all."""


class Node(msgspec.Struct, frozen=True):
    """A thing and what it was made from.

    `kind`: `model`, `detector`, `dataset`, `source`, `file`, `weights` or `embedding`; `sha256` of the manifest of a
    model or dataset, and of a file's bytes. `code`: the versions that made it, `made_with` its settings. `unknown`: why
    the chain ends here although the thing was made from others.
    """

    kind: str
    name: str
    sha256: str | None = None
    code: dict[str, str] = {}
    made_with: dict[str, str] = {}
    made_from: tuple["Node", ...] = ()
    unknown: str = ""


def trace(model: str, stages: Sequence[str] = (), dataset: str | None = None) -> Node:
    """The chain behind a model folder. A model names what it was made from by hashes alone, so `stages` are the folders
    of its detectors, and `dataset` the dataset: what is not among them ends the chain, and says so.

    Raises CheckpointError or DataError for a folder that is not finished.
    """
    detectors = {model_hash(uri): uri for uri in stages}
    datasets = {} if dataset is None else {dataset_hash(dataset): dataset}
    return _model_node("model", model, detectors, datasets)


def read_lineage(data: bytes, name: str) -> Node:
    """The chain in a `lineage.json`; raises DataError for anything else."""
    try:
        return msgspec.json.decode(data, type=Node)
    except JSON_ERRORS as error:
        raise DataError(f"{name}: not a lineage ({error}); register the model again") from None


def as_text(node: Node, depth: int = 0) -> Iterator[str]:
    """The chain as indented lines: what stands further in made what stands above it."""
    indent = "  " * depth
    digest = f"  sha256 {node.sha256[:SHORT]}" if node.sha256 else ""
    yield f"{indent}{node.kind} {node.name}{digest}"
    for title, values in (("code", node.code), ("with", node.made_with)):
        if values:
            yield f"{indent}  {title}: {', '.join(f'{name} {value}' for name, value in values.items())}"
    if node.unknown:
        yield f"{indent}  unknown: {node.unknown}"
    for parent in node.made_from:
        yield from as_text(parent, depth + 1)


def _model_node(kind: str, uri: str, detectors: Mapping[str, str], datasets: Mapping[str, str]) -> Node:
    made_from = read_model_manifest(uri).made_from
    parents = tuple(_parents(made_from, detectors, datasets))
    named = {"detector", "dataset", "weights", "embedding", *CODE}
    return Node(
        kind,
        uri.rstrip("/").rpartition("/")[2],
        model_hash(uri),
        {name: str(made_from[name]) for name in CODE if made_from.get(name) is not None},
        {name: str(value) for name, value in made_from.items() if name not in named and value is not None},
        parents,
        "" if parents else "its manifest names nothing that it was made from",
    )


def _parents(made_from: Origin, detectors: Mapping[str, str], datasets: Mapping[str, str]) -> Iterator[Node]:
    detector, dataset = made_from.get("detector"), made_from.get("dataset")
    if detector in detectors:
        yield _model_node("detector", detectors[str(detector)], detectors, datasets)
    elif detector is not None:
        yield Node("detector", "?", str(detector), unknown="its folder was not named (--stages)")
    if dataset in datasets:
        yield _dataset_node(datasets[str(dataset)])
    elif dataset is not None:
        yield Node("dataset", "?", str(dataset), unknown="it was not named (--dataset)")
    for kind in ("weights", "embedding"):
        if made_from.get(kind) is not None:
            yield Node(kind, "from a file", str(made_from[kind]))


def _dataset_node(uri: str) -> Node:
    manifest = read_manifest(uri)
    parameters = {name: str(value) for name, value in manifest.parameters.items() if value is not None}
    sources = tuple(_source_node(source) for source in manifest.sources)
    return Node("dataset", uri.rstrip("/").rpartition("/")[2], dataset_hash(uri), {}, parameters, sources)


def _source_node(source: Source) -> Node:
    files = tuple(Node("file", f"{file.path} ({file.bytes} bytes)", file.sha256) for file in source.files)
    unknown = "" if files else "the dataset's manifest names no file of it"
    return Node("source", f"{source.name} ({source.kind})", made_from=files, unknown=unknown)
