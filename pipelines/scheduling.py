"""Recurring runs of the pipeline, by name. The server can make and delete them; there is no update."""

from collections.abc import Iterator, Mapping
from typing import Any

from data_prep.storage.errors import ConfigError
from pipelines.pipeline_names import PipelineName
from pipelines.submitting import upload

SCHEDULED: dict[PipelineName, dict[str, Any]] = {
    "maskx_vg3000": {"dated": True, "only_if_changed": True},
    "coco_split_study": {},
    "maskx_predict": {},
}
"""Parameters of a scheduled run, unless others are given. KFP hands a scheduled run no time that all its versions fill
in, so the first step dates the root."""


def named(client: Any, experiment: str, name: str | None) -> list[Any]:
    """The schedules of an experiment, all or those of this name."""
    return [each for each in _schedules(client, experiment) if name in (None, each.display_name)]


def make(
    client: Any,
    package: str,
    experiment: str,
    name: str,
    cron: str,
    parameters: Mapping[str, Any],
    account: str | None,
    replaces: bool,
) -> str:
    """Make a schedule of the compiled pipeline, one run at a time, without making up for runs that were missed.

    Where it `replaces` one, that is deleted when the new one is there: what the server refuses leaves the old one.
    Returns the schedule's id.

    Raises:
        ConfigError: there is one of this name already, or there is none to replace.
    """
    before = named(client, experiment, name)
    if before and not replaces:
        raise ConfigError(f"schedule {name!r} exists already; `maskx pipeline schedule replace` changes it")
    if replaces and not before:
        raise ConfigError(f"schedule {name!r} does not exist; `maskx pipeline schedule create` makes it")
    uploaded = upload(client, package)
    made = client.create_recurring_run(
        client.create_experiment(experiment).experiment_id,
        name,
        cron_expression=cron,
        max_concurrency=1,
        no_catchup=True,
        params=dict(parameters),
        pipeline_id=uploaded.pipeline_id,
        version_id=uploaded.version_id,
        enabled=True,
        service_account=account,
    )
    for each in before:
        client.delete_recurring_run(each.recurring_run_id)
    return str(made.recurring_run_id)


def change(client: Any, experiment: str, name: str, action: str) -> str:
    """Do with the schedule of this name what `action` says: pause, resume or delete; returns its id.

    Raises:
        ConfigError: there is none of this name, or more than one; says which there are.
    """
    found = named(client, experiment, name)
    if len(found) != 1:
        there = ", ".join(each.display_name for each in named(client, experiment, None)) or "none"
        amount = "no schedule" if not found else f"{len(found)} schedules"
        raise ConfigError(f"{amount} {name!r} in experiment {experiment!r} (there are: {there})")
    calls = {
        "pause": client.disable_recurring_run,
        "resume": client.enable_recurring_run,
        "delete": client.delete_recurring_run,
    }
    calls[action](found[0].recurring_run_id)
    return str(found[0].recurring_run_id)


def described(schedule: Any) -> list[str]:
    """Lines for people: what it is called, whether it fires and when, and with which parameters."""
    cron = schedule.trigger.cron_schedule.cron if schedule.trigger and schedule.trigger.cron_schedule else "?"
    parameters = (schedule.runtime_config.parameters if schedule.runtime_config else None) or {}
    lines = [f"{schedule.display_name}  {str(schedule.status or '').lower()}  cron {cron}  {schedule.recurring_run_id}"]
    return lines + [f"  {name}: {value}" for name, value in sorted(parameters.items())]


def _schedules(client: Any, experiment: str) -> Iterator[Any]:
    try:
        experiment_id = client.get_experiment(experiment_name=experiment).experiment_id
    except ValueError:  # KFP's way to say that there is none
        return
    page = ""
    while True:
        answer = client.list_recurring_runs(page_token=page, page_size=100, experiment_id=experiment_id)
        yield from answer.recurring_runs or []
        page = answer.next_page_token or ""
        if not page:
            return
