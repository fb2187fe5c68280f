"""`maskx model register`."""

from typing import Annotated

from tyro.conf import arg

from data_prep.arguments import Grouped, Uri, optional
from maskx_model.cli.arguments import RegistryOptions, preset_names
from maskx_model.cli.run_options import ConfigurationOptions


def register(
    model: Uri,
    evaluation: Uri,
    *,
    stages: Annotated[tuple[str, ...], arg(metavar="URI …", help_behavior_hint="(default: no others)")] = (),
    dataset: Annotated[str | None, optional("URI", "none is logged")] = None,
    preset: Annotated[str | None, optional(preset_names(), "no settings are logged, the default gates")] = None,
    estimate: Annotated[str | None, optional("URI", "no estimate")] = None,
    configuration: Grouped[ConfigurationOptions],
    registry: Grouped[RegistryOptions],
) -> None:
    """Register a trained model with its metrics; it becomes the champion if it passes the gates.

    The gates are fields of the configuration (`maskx config show PRESET`, below `gates`): AP on A against the
    champion's, AP on B, the class-agnostic model of the same run, seconds and memory. A champion that was measured on
    other images is measured again, on --dataset. The log says what each gate found.

    Args:
        model: The folder of a trained model.
        evaluation: The folder that `maskx evaluate` wrote for it.
        stages: Folders of other trainings, such as the detector's, whose curves belong to it.
        dataset: The dataset it was trained on.
        preset: The preset it was trained with, to log its settings and to ask its gates, with --config and --set where
            they changed it.
        estimate: The folder that `maskx study estimate` wrote, for gates where B has no masks to measure by.

    Example:
        maskx model register --model masks --evaluation evaluation --stages detector --dataset dataset
    """
    from maskx_model.registry.registry import register as run

    given = preset or configuration.config or configuration.overrides
    settings = configuration.of(preset) if given else None
    print(run(model, evaluation, registry.name, registry.tracking_uri, stages, dataset, settings, estimate))
