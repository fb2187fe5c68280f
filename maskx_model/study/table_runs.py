"""What is trained and measured for each method of the paper's tables, with one seed."""

from collections.abc import Sequence
from dataclasses import replace

from maskx_model.artifacts.code_versions import code_releases
from maskx_model.config import MaskConfig
from maskx_model.run_config import RunConfig
from maskx_model.study.cache import digest
from maskx_model.study.frozen_detector import FrozenDetector
from maskx_model.study.jobs import Job, run_jobs
from maskx_model.study.rows import Row, cached_row
from maskx_model.study.table_rows import METHODS, Method
from maskx_model.study.variants import Variant
from maskx_model.study.whole_models import grabcut_row, joint_row
from maskx_model.training.stages import beginning_of, made_masks_of


def seed_rows(
    frozen: FrozenDetector, methods: Sequence[str], a: tuple[int, ...], chosen: str, seed: int, processes: int, out: str
) -> dict[str, Row]:
    """Every method's row with one seed. Heads come first, then what takes whole images.

    `a`: the positions of A, which `chosen` names.
    """
    folder, rows = f"{out}/rows", head_rows(frozen, methods, a, seed, processes, f"{out}/rows", f"tables, seed {seed}")
    for name in methods:
        if METHODS[name].training == "none":
            rows[name] = _grabcut_row(frozen, name, folder)
        elif METHODS[name].training == "end to end":
            rows[name] = _joint_row(frozen, name, a, chosen, seed, out)
    return rows


def head_rows(
    frozen: FrozenDetector,
    methods: Sequence[str],
    a: tuple[int, ...],
    seed: int,
    processes: int,
    folder: str,
    title: str,
) -> dict[str, Row]:
    """The rows of those of the methods that train a head on the frozen detector, from annotated masks or GrabCut's."""
    rows: dict[str, Row] = {}
    for training, of_targets in {
        "stage-wise": frozen,
        "GrabCut masks": replace(frozen, targets="grabcut"),
    }.items():
        names = [name for name in methods if METHODS[name].training == training]
        jobs = [_job(frozen, name, a, seed) for name in names]
        measured = run_jobs(of_targets, jobs, folder, processes, f"{title}, {training}") if jobs else []
        rows |= dict(zip(names, measured, strict=True))
    return rows


def _job(frozen: FrozenDetector, name: str, a: tuple[int, ...], seed: int) -> Job:
    method = METHODS[name]
    mask = mask_config(frozen.preset, method, frozen.embedding)
    every_class = method.all_masks or method.training == "GrabCut masks"
    variant = Variant(name, mask, frozen.preset.stage2.rois)
    return Job(variant, frozen.masks_of if every_class else a, frozen.measured, seed)


def _grabcut_row(frozen: FrozenDetector, name: str, folder: str) -> Row:
    inputs = {**frozen.made_from, **_measurement(frozen, name)}
    return cached_row(f"{folder}/{name}-{digest(inputs)}.json", lambda: grabcut_row(frozen))


def _joint_row(frozen: FrozenDetector, name: str, a: tuple[int, ...], chosen: str, seed: int, out: str) -> Row:
    mask = mask_config(frozen.preset, METHODS[name], frozen.embedding)
    model = digest(
        {"dataset": frozen.made_from["dataset"], "source": frozen.made_from["source"]}
        | {"detector": frozen.preset.detector, "mask": mask, "joint": frozen.preset.joint, "classes": a, "seed": seed}
        | beginning_of(frozen.preset)
        | made_masks_of(frozen.preset)
        | code_releases()
    )
    file = f"{out}/rows/{name}-{digest({**_measurement(frozen, name), 'model': model})}.json"
    return cached_row(file, lambda: joint_row(frozen, mask, chosen, seed, f"{out}/end-to-end/{name}-{model}"))


def _measurement(frozen: FrozenDetector, name: str) -> dict[str, object]:
    return {"measured_on": (frozen.split, frozen.max_images, frozen.measured), "method": name}


def mask_config(preset: RunConfig, method: Method, embedding: str | None) -> MaskConfig:
    """The preset's mask branch as the method has it; T is the paper's (Table 1's caption) where the method does not
    change it."""
    changes = {
        "kind": "transfer",
        "transfer_input": "cls+box",
        "transfer_layers": 2,
        "activation": "leaky_relu",
        "mlp": "none",
        "embedding_dim": None,
        **method.mask,
    }
    if changes["transfer_input"] == "embedding" and embedding is not None:
        from maskx_model.data.word_vectors import vector_width

        changes["embedding_dim"] = vector_width(embedding)
    return replace(preset.mask, **changes)
