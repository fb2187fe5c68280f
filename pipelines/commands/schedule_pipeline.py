"""`maskx pipeline schedule`."""

from typing import Annotated, Any, Literal

from tyro.conf import Positional, arg

from data_prep.arguments import Grouped, optional
from data_prep.storage.errors import ConfigError
from pipelines.commands.server_options import Parameters, ServerOptions
from pipelines.our_packages import check_packages
from pipelines.pipeline_names import PipelineName

Action = Literal["create", "show", "replace", "pause", "resume", "delete"]


def schedule_pipeline(
    action: Positional[Annotated[Action, arg(metavar="{create,show,replace,pause,resume,delete}")]],
    parameters: Parameters = (),
    *,
    name: Annotated[str, arg(metavar="NAME")] = "maskx",
    cron: Annotated[str | None, optional("CRON", "none: create and replace need it")] = None,
    parameters_file: Annotated[str | None, optional("FILE|URI", "no file")] = None,
    pipeline: PipelineName = "maskx_vg3000",
    image: Annotated[str | None, optional("IMAGE", "maskx with this version's tag")] = None,
    server: Grouped[ServerOptions],
) -> None:
    """Train or predict again and again on Kubeflow Pipelines: make, show, change and end a schedule of pipeline runs.

    One run at a time; runs that were missed are not made up for. Each training writes to a folder below root that is
    named by the time, and ends early if a registered version was made of the same sources, configuration and code; the
    parameters dated=false and only_if_changed=false change that.

    Args:
        action: What to do with the schedule. `show` lists all of the experiment; `replace` makes the new one before it
            deletes the old one.
        parameters: Parameters of the pipeline, for create and replace, as `maskx pipeline submit` takes them.
        name: The schedule's name.
        cron: Six fields: second, minute, hour, day of the month, month, day of the week. Times are the server's.
        parameters_file: YAML with a line for each parameter, NAME: VALUE.
        pipeline: The product, or batch prediction; the study of the paper's tables runs once.
        image: Your container image (infra/images/Dockerfile), best with its digest: REGISTRY/maskx@sha256:…

    Example:
        maskx pipeline schedule create --host http://localhost:8888 --cron "0 0 3 * * SUN" --parameters-file run.yaml
    """
    check_packages()
    from components.image import IMAGE
    from pipelines.scheduling import change, described, make, named
    from pipelines.server import connected

    if action in ("create", "replace"):
        package, values = _planned(pipeline, image or IMAGE, cron, parameters_file, parameters)
    elif cron or parameters or parameters_file or image:
        raise ConfigError(f"schedule {action}: takes no cron, image or parameters; `replace` changes a schedule")
    with connected(server.host, server.namespace, server.token_file) as client:
        if action == "show":
            lines = [line for each in named(client, server.experiment, None) for line in described(each)]
        elif action in ("create", "replace"):
            account = server.service_account
            made = make(client, package, server.experiment, name, str(cron), values, account, action == "replace")
            lines = [f"schedule {name} {action}d: {made}, cron {cron}"]
        else:
            lines = [f"schedule {name} {action}d: {change(client, server.experiment, name, action)}"]
    print("\n".join(lines) or f"experiment {server.experiment!r} has no schedule")


def _planned(
    pipeline: PipelineName, image: str, cron: str | None, file: str | None, words: tuple[str, ...]
) -> tuple[str, dict[str, Any]]:
    """The compiled pipeline and its parameters; raises ConfigError for a mistake in them or in the cron."""
    import yaml

    from pipelines.compiling import compiled
    from pipelines.cron import check_cron
    from pipelines.parameters import parameters_of
    from pipelines.scheduling import SCHEDULED

    if cron is None:
        raise ConfigError('--cron is missing: six fields, such as "0 0 3 * * SUN" for Sundays at three')
    check_cron(cron)
    package = compiled(image, pipeline=pipeline)
    return package, SCHEDULED[pipeline] | parameters_of(next(yaml.safe_load_all(package)), file, words)
