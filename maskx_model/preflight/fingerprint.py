"""What a run is made of, as one hash: when nothing in it has changed, training again would give the same model."""

import hashlib
from collections.abc import Mapping

import msgspec

from data_prep.format.manifest import FORMAT_VERSION
from data_prep.storage.storage import FileInfo, info, is_on_disk, sha256
from maskx_model.artifacts.code_versions import code_releases
from maskx_model.preflight.original_data import Inventory
from maskx_model.run_config import RunConfig


def fingerprint(run: RunConfig, sources: Mapping[str, Inventory], exif: str = "auto") -> str:
    """SHA-256 over the sources' files, the rule for upright images, the configuration, and the releases of the code.

    A JSON file on disk counts by its content; any other file by its size and by what tells its version: the ETag in
    object storage, the time of its last change on disk. Of the code the major and the minor release count, as in a
    model's provenance.
    """
    named = (run.mask_classes, run.detector.weights)
    content = {
        "sources": {name: _files(inventory) for name, inventory in sorted(sources.items())},
        "exif": exif,
        "configuration": msgspec.to_builtins(run),
        "files": {uri: _identity(uri, found) for uri in named if uri and (found := info(uri)) is not None},
        "code": code_releases(),
        "format": FORMAT_VERSION,
    }
    return hashlib.sha256(msgspec.json.encode(content, order="deterministic")).hexdigest()


def _files(inventory: Inventory) -> list[tuple[str, str]]:
    return [(path, _identity(uri, found)) for path, (uri, found) in sorted(inventory.items())]


def _identity(uri: str, found: FileInfo) -> str:
    """What tells one content of a file from another."""
    if is_on_disk(uri) and uri.endswith(".json"):
        return sha256(uri)
    return f"{found.bytes} {found.version}"
