"""`maskx model lineage`."""

from typing import Annotated

from tyro.conf import Positional, arg

from data_prep.arguments import optional
from maskx_model.cli.arguments import TrackingUri


def lineage(
    model: Annotated[Positional[str], arg(metavar="MODEL")],
    *,
    stages: Annotated[tuple[str, ...], arg(metavar="URI …", help_behavior_hint="(default: none)")] = (),
    dataset: Annotated[str | None, optional("URI", "the chain ends at its hash")] = None,
    json: bool = False,
    tracking_uri: TrackingUri = None,
) -> None:
    """Print what a model was made from, back to the hashes of the original files and the versions of the code.

    Args:
        model: A registered model such as models:/maskx@champion, or the folder of a model.
        stages: Folders of the detectors that the model was trained on, if it is given by its folder: the manifest there
            names them by hash alone.
        dataset: The dataset that the model was trained on, if it is given by its folder.
        json: Print it as JSON, with whole hashes.
        tracking_uri: MLflow's tracking server.

    Example:
        maskx model lineage models:/maskx@champion
    """
    import msgspec

    from maskx_model.registry.lineage import as_text
    from maskx_model.registry.lineage_of_model import lineage as run

    chain = run(model, stages, dataset, tracking_uri)
    print(msgspec.json.format(msgspec.json.encode(chain), indent=1).decode() if json else "\n".join(as_text(chain)))
