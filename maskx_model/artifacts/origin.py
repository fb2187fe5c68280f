"""What a model was made from: two trainings with the same origin give the same model."""

from data_prep.storage.errors import CheckpointError

Origin = dict[str, str | int | float | None]
"""What a model was made from: hashes of its inputs, and its settings."""


def check_same_origin(what: str, before: Origin, made_from: Origin) -> None:
    if before == made_from:
        return
    different = sorted(name for name in {*before, *made_from} if before.get(name) != made_from.get(name))
    raise CheckpointError(
        f"{what} a training with another {', '.join(different)}; choose another output folder, or delete this one"
    )
