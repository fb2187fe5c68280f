"""The present champion's figures on the new version's validation records: its own, or measured again."""

import logging
import tempfile
from typing import Any

from data_prep.storage.errors import CheckpointError, ConfigError, DataError
from maskx_model.evaluation.metrics import Evaluation
from maskx_model.registry.gates import NAMES, Rival
from maskx_model.registry.logged_model import download_model
from maskx_model.registry.promotion import CHAMPION
from maskx_model.registry.run_contents import RunContents, hash_of_test_set, own_figures
from maskx_model.registry.versions import aliases_of

logger = logging.getLogger(__name__)

CHOICES = ("split", "source", "max_images", "protocol", "masks")
"""What an evaluation says of how it measured; what an earlier release did not say was the default."""


def find_rival(client: Any, name: str, own_version: str, contents: RunContents) -> Rival | None:
    """The champion that a version must beat; None where there is none, or it is this version.

    Its figures are those it was registered with, if they are of the same validation records and the same B. Otherwise
    it is measured again on the dataset that `contents` names; where that cannot be, `Rival.problem` says why.
    """
    number = aliases_of(client, name).get(CHAMPION)
    if number in (None, own_version):
        return None
    assert number is not None
    tags = client.get_model_version(name, number).tags
    figures = {figure: float(tags[figure]) for figure in NAMES if figure in tags}
    if tags.get("test_set") == contents.test_set and ("mask_ap_a" in figures or "mask_ap_a" not in contents.ap):
        return Rival(number, figures)
    if contents.dataset is None or "evaluation" not in contents.dataset.used_for:
        return Rival(
            number,
            {},
            f"version {number} was measured on other images, or with other classes in B, and the dataset to measure it "
            "again on was not named (--dataset)",
        )
    logger.info("version %s, the champion, was measured on other records: it is measured again", number)
    try:
        return _measured_again(name, number, contents.dataset.uri, contents)
    except (CheckpointError, ConfigError, DataError) as error:
        return Rival(number, {}, f"version {number} cannot be measured on these images: {error}")


def _measured_again(name: str, number: str, dataset: str, contents: RunContents) -> Rival:
    with tempfile.TemporaryDirectory() as folder:
        evaluation = _evaluate_as(contents.evaluation, download_model(name, number, folder), dataset)
    (kind,) = evaluation.ap
    if hash_of_test_set(evaluation) != contents.test_set:
        return Rival(number, {}, f"version {number} has other classes in B, so their AP cannot be compared")
    return Rival(number, own_figures(evaluation, kind), measured_again=True)


def _evaluate_as(like: Evaluation, model: str, dataset: str) -> Evaluation:
    """Measure a model as another was measured: the same images, source, protocol and precision."""
    from data_prep.format.reader import Dataset
    from maskx_model.config import Compute
    from maskx_model.evaluation.options import EvaluationOptions
    from maskx_model.evaluation.run_models import evaluate_models

    choices: Any = like.made_from
    known = {name: choices[name] for name in CHOICES if name in choices}
    options = EvaluationOptions(**known, compute=Compute(precision=choices.get("precision", "float32")))
    return evaluate_models(Dataset.open(dataset), [model], options, None, like.made_from).result
