"""Everything of a prediction that can be checked before it asks for a GPU."""

from collections.abc import Mapping
from typing import Any

from data_prep.storage.errors import ConfigError
from maskx_model.batch_prediction.images import DatasetImages
from maskx_model.batch_prediction.options import BatchOptions
from maskx_model.inference.find_images import find_images
from maskx_model.inference.segmenter import require_masks
from maskx_model.preflight.findings import Findings
from maskx_model.preflight.places import check_credentials, check_root, check_tracking
from maskx_model.preflight.pods import check_pods


def checked_model(options: BatchOptions, pods: Mapping[str, Any]) -> str:
    """Check the model, the images, the tracking server, the output and what `pods` are asked for, and return the model.

    Of a registered one it is the version that its alias names now: all tries of a step have the same. `pods`: sizes,
    selector and tolerations by the names of the pipeline's parameters.

    Raises:
        ConfigError: what is wrong, each thing on a line of its own.
    """
    findings = Findings()
    findings.attempt(check_credentials, options.tracking_uri or "")
    findings.attempt(check_root, options.out)
    findings.attempt(_check_images, options)
    check_pods(pods, findings)
    model = findings.attempt(_resolved, options)
    findings.raise_problems()
    assert model is not None, "without a problem there is a model"
    return model


def _check_images(options: BatchOptions) -> None:
    """Raise DataError without images."""
    if options.dataset is not None:
        DatasetImages.open(options.dataset, options.split)
    else:
        find_images(options.inputs, options.out)


def _resolved(options: BatchOptions) -> str:
    if not options.model.startswith("models:/"):
        require_masks(options.model)
        return options.model
    if options.tracking_uri is None:
        raise ConfigError(f"tracking_uri: is empty; name MLflow's tracking server, which has {options.model}")
    check_tracking(options.tracking_uri)
    from maskx_model.registry.mlflow_run import connected
    from maskx_model.registry.registry import address_of
    from maskx_model.registry.versions import version_number

    name, version = address_of(options.model)
    with connected(options.tracking_uri) as client:
        return f"models:/{name}/{version_number(client, name, version)}"
