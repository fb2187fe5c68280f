"""The paper's Tables 1 and 2 in small: every row on several seeds, one detector and one set of features for each."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import msgspec

from data_prep.format.reader import Dataset
from data_prep.storage.errors import ConfigError, DataError
from data_prep.storage.storage import exists, write
from maskx_model.config import MaskConfig
from maskx_model.data.mask_classes import resolve_mask_classes
from maskx_model.data.word_vectors import class_vectors
from maskx_model.evaluation.protocols import exhaustive_classes
from maskx_model.presets import Preset
from maskx_model.study.frozen import Frozen
from maskx_model.study.jobs import Job, Row, read_row, run_jobs
from maskx_model.study.table_result import Tables, summarise
from maskx_model.study.table_rows import METHODS, Method, chosen_rows
from maskx_model.study.variants import Variant
from maskx_model.training.stages import train_detector


@dataclass(frozen=True)
class TablesOptions:
    """What to train and measure. `rows`: tables or rows by name, all of them if empty; `embedding`: the file of word
    vectors, without which the row of word vectors is left out."""

    rows: Sequence[str] = ()
    seeds: Sequence[int] = (0, 1, 2)
    embedding: str | None = None
    jobs: int = 1
    split: str = "val"
    max_images: int | None = None
    rois_at_most: int = 40_000


def tables(
    dataset: str,
    out: str,
    preset: Preset,
    options: TablesOptions,
    detectors: Sequence[str] = (),
    mask_classes: str | None = None,
    device: str | None = None,
) -> Tables:
    """Train and measure the rows; writes `<out>/tables.json`, `tables.csv` and `tables.html`.

    `detectors`: folders of stage 1, one for each seed or one for all of them; without any, each seed's is trained in
    `<out>/detectors`. `mask_classes`: A, the preset's by default. What is in `<out>` already is not computed again, so
    that a run that was cut off goes on. Raises ConfigError for options that do not fit, DataError and CheckpointError
    for a dataset or a detector that do not.
    """
    data = Dataset.open(dataset)
    chosen = mask_classes or preset.mask_classes
    a = resolve_mask_classes(chosen, data.vocabulary, preset.stage2_source)
    measured = tuple(sorted(exhaustive_classes(data, preset.stage2_source).values()))
    _check(options, detectors)
    rows = chosen_rows(options.rows)
    not_run = {row.id: reason for row in rows if (reason := _reason(METHODS[row.method], options))}
    methods = list(dict.fromkeys(row.method for row in rows if row.id not in not_run))
    if options.embedding is not None and "embedding" in methods:
        class_vectors(options.embedding, data.vocabulary)  # a class that it lacks is told before anything is trained
    measurements: dict[str, list[Row]] = {name: [] for name in methods}
    made_from: dict[str, str] = {}
    for number, seed in enumerate(options.seeds):
        frozen = Frozen(
            dataset=dataset,
            detector=detectors[number % len(detectors)] if detectors else f"{out}/detectors/seed-{seed}",
            features=f"{out}/features",
            preset=preset,
            masks_of=resolve_mask_classes("coco", data.vocabulary, preset.stage2_source),
            measured=measured,
            split=options.split,
            max_images=options.max_images,
            rois_at_most=options.rois_at_most,
            device=device,
            embedding=options.embedding,
        )
        _check_photographs(frozen, a)
        if not detectors:
            train_detector(dataset, frozen.detector, preset, seed=seed, device=device)
        made_from |= {f"detector, seed {seed}": frozen.made_from["detector"], "dataset": frozen.made_from["dataset"]}
        for name, row in _seed_rows(frozen, methods, a, chosen, seed, options, out).items():
            measurements[name].append(row)
    result = summarise(rows, not_run, measurements, a, preset.name, options.seeds, made_from)
    from maskx_model.study.table_page import tables_csv, tables_page

    write(f"{out}/tables.html", tables_page(result).encode())
    write(f"{out}/tables.csv", tables_csv(result).encode())
    write(f"{out}/tables.json", msgspec.json.format(msgspec.json.encode(result), indent=1) + b"\n")
    return result


def _check(options: TablesOptions, detectors: Sequence[str]) -> None:
    if not options.seeds or len(set(options.seeds)) < len(options.seeds):
        raise ConfigError("seeds: at least one is needed, and none twice")
    if options.jobs < 1:
        raise ConfigError(f"jobs: at least one process is needed, got {options.jobs}")
    if len(detectors) not in {0, 1, len(options.seeds)}:
        raise ConfigError(f"detector: name none, one, or one for each of {len(options.seeds)} seeds")


def _reason(method: Method, options: TablesOptions) -> str | None:
    """Why a method is not run, if it is not."""
    if method.mask.get("transfer_input") == "embedding" and options.embedding is None:
        return "no file of word vectors was named (--embedding)"
    return None


def _check_photographs(frozen: Frozen, a: Sequence[int]) -> None:
    shown = frozen.shown
    if not shown & set(a) or not shown - set(a):
        raise DataError(
            f"{frozen.dataset}: split {frozen.split!r} has no object with a mask of a class "
            f"{'outside' if shown & set(a) else 'of'} the mask classes to measure; choose others, or more images"
        )


def _seed_rows(
    frozen: Frozen, methods: Sequence[str], a: tuple[int, ...], chosen: str, seed: int, options: TablesOptions, out: str
) -> dict[str, Row]:
    """Every method's row with one seed. Heads come first, then what takes whole images."""
    folder, found = f"{out}/rows", dict[str, Row]()
    for training, of_heads in (
        ("stage-wise", frozen),
        ("GrabCut masks", replace(frozen, targets="grabcut")),
    ):
        names = [name for name in methods if METHODS[name].training == training]
        jobs = [_job(frozen, name, a, seed) for name in names]
        rows = run_jobs(of_heads, jobs, folder, options.jobs, f"tables, seed {seed}, {training}") if jobs else []
        found |= dict(zip(names, rows, strict=True))
    for name in methods:
        method = METHODS[name]
        if method.training in {"none", "end to end"}:
            found[name] = _whole(frozen, name, a, chosen, seed, out)
    return found


def _whole(frozen: Frozen, name: str, a: tuple[int, ...], chosen: str, seed: int, out: str) -> Row:
    """The row of GrabCut of detected boxes, or of a model trained end to end."""
    from maskx_model.study.whole_models import grabcut_row, joint_row

    told: dict[str, object] = {"measured_on": (frozen.split, frozen.max_images, frozen.measured), "method": name}
    if METHODS[name].training == "none":
        told |= frozen.made_from
        return _kept_row(f"{out}/rows/{name}-{_digest(told)}.json", lambda: grabcut_row(frozen))
    mask = mask_config(frozen.preset, METHODS[name], frozen.embedding)
    trained = _digest(
        {"dataset": frozen.made_from["dataset"], "source": frozen.made_from["source"]}
        | {"detector": frozen.preset.detector, "mask": mask, "joint": frozen.preset.joint, "classes": a, "seed": seed}
    )
    model = f"{out}/end-to-end/{name}-{trained}"
    return _kept_row(
        f"{out}/rows/{name}-{_digest(told | {'model': trained})}.json",
        lambda: joint_row(frozen, mask, chosen, seed, model),
    )


def _kept_row(file: str, compute: Callable[[], Row]) -> Row:
    if not exists(file):
        write(file, msgspec.json.encode(compute()))
    return read_row(file)


def _job(frozen: Frozen, name: str, a: tuple[int, ...], seed: int) -> Job:
    method = METHODS[name]
    mask = mask_config(frozen.preset, method, frozen.embedding)
    every_class = method.all_masks or method.training == "GrabCut masks"
    variant = Variant(name, mask, frozen.preset.stage2.rois)
    return Job(variant, frozen.masks_of if every_class else a, frozen.measured, seed)


def mask_config(preset: Preset, method: Method, embedding: str | None) -> MaskConfig:
    """The preset's mask branch as the method has it; T is the paper's (Table 1's caption) where nothing else is
    said."""
    changes = {
        "kind": "transfer",
        "transfer_input": "cls+box",
        "transfer_layers": 2,
        "activation": "leaky_relu",
        "mlp": "none",
        **method.mask,
    }
    if changes["transfer_input"] == "embedding" and embedding is not None:
        from maskx_model.data.word_vectors import vector_width

        changes["embedding_dim"] = vector_width(embedding)
    return replace(preset.mask, **changes)


def _digest(told: object) -> str:
    return hashlib.sha256(msgspec.json.encode(told)).hexdigest()[:16]


def results_table(result: Tables) -> str:
    """The rows as text, a line each, and how many of the paper's orderings came out."""
    lines = [f"{'':40}{'B':>12}{'A':>14}"]
    for each in result.rows:
        values = each.not_run and f"not run: {each.not_run}"
        if each.b is not None and each.a is not None:
            values = f"{each.b!s:>12}{each.a!s:>14}"
        lines.append(f"{each.table:4}{each.name:36}{values}")
    held = sum(each.holds for each in result.orderings)
    lines.append(f"{held} of {len(result.orderings)} orderings of the paper came out on the mean")
    return "\n".join(lines)
