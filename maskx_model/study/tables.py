"""The paper's Tables 1 and 2 in small: every row on several seeds, one detector and one set of features for each."""

from collections.abc import Sequence
from dataclasses import dataclass

from data_prep.format.reader import Dataset
from data_prep.storage.errors import ConfigError, DataError
from data_prep.storage.own_files import write_own
from data_prep.storage.storage import write
from maskx_model.artifacts.code_versions import code_releases
from maskx_model.data.for_dataset import for_dataset
from maskx_model.data.mask_classes import resolve_mask_classes
from maskx_model.data.word_vectors import class_vectors
from maskx_model.evaluation.protocols import exhaustive_classes
from maskx_model.run_config import RunConfig
from maskx_model.study.frozen_detector import FrozenDetector
from maskx_model.study.jobs import check_runs
from maskx_model.study.rows import Row
from maskx_model.study.table_result import Tables, summarize
from maskx_model.study.table_rows import METHODS, Method, chosen_rows
from maskx_model.study.table_runs import seed_rows
from maskx_model.training.stages import train_detector


@dataclass(frozen=True)
class TablesOptions:
    """What to train and measure. `rows`: tables or rows by name, all of them if empty; `embedding`: the file of word
    vectors, without which the row of word vectors is not run."""

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
    preset: RunConfig,
    options: TablesOptions,
    detectors: Sequence[str] = (),
    mask_classes: str | None = None,
    device: str | None = None,
    features: str | None = None,
) -> Tables:
    """Train and measure the rows; writes `<out>/tables.json`, `tables.csv` and `tables.html`.

    `detectors`: folders of stage 1, one for each seed or one for all of them; without any, each seed's is trained in
    `<out>/detectors`. `mask_classes`: A, the preset's by default. `features`: folder of the detectors' features, by
    default `<out>/features`; studies of several choices of A share it. What is in `<out>` already is not computed
    again, so that a run that was cut off resumes. Raises ConfigError for options that contradict each other, DataError
    and CheckpointError for a dataset or a detector that does not match.
    """
    data = Dataset.open(dataset)
    preset = for_dataset(preset, data, "stage2", "joint")
    chosen = mask_classes or preset.mask_classes
    a = resolve_mask_classes(chosen, data.vocabulary, preset.stage2_source)
    _check(options, detectors)
    rows = chosen_rows(options.rows)
    not_run = {row.id: reason for row in rows if (reason := _reason(METHODS[row.method], options))}
    methods = list(dict.fromkeys(row.method for row in rows if row.id not in not_run))
    if options.embedding is not None and "embedding" in methods:
        class_vectors(options.embedding, data.vocabulary)  # a class that it lacks is an error before any training
    measurements: dict[str, list[Row]] = {name: [] for name in methods}
    made_from = code_releases()
    for number, seed in enumerate(options.seeds):
        detector = detectors[number % len(detectors)] if detectors else f"{out}/detectors/seed-{seed}"
        frozen = frozen_detector(data, detector, features or f"{out}/features", preset, options, device)
        _check_images(frozen, a)
        if not detectors:
            train_detector(dataset, frozen.detector, preset, seed=seed, device=device)
        made_from |= {f"detector, seed {seed}": frozen.made_from["detector"], "dataset": frozen.made_from["dataset"]}
        for name, row in seed_rows(frozen, methods, a, chosen, seed, options.jobs, out).items():
            measurements[name].append(row)
    result = summarize(rows, not_run, measurements, a, preset.name, options.seeds, made_from)
    _write(out, result)
    return result


def _check(options: TablesOptions, detectors: Sequence[str]) -> None:
    check_runs(options.seeds, options.jobs)
    if len(detectors) not in {0, 1, len(options.seeds)}:
        raise ConfigError(f"detector: name none, one, or one for each of {len(options.seeds)} seeds")


def _reason(method: Method, options: TablesOptions) -> str | None:
    """Why a method is not run, if it is not."""
    if method.mask.get("transfer_input") == "embedding" and options.embedding is None:
        return "no file of word vectors was named (--embedding)"
    return None


def frozen_detector(
    data: Dataset, detector: str, features: str, preset: RunConfig, options: TablesOptions, device: str | None
) -> FrozenDetector:
    """The detector whose heads are compared: masks of all classes that have some, whatever A, so that its features in
    the folder `features` serve every choice of A."""
    return FrozenDetector(
        dataset=data.uri,
        detector=detector,
        features=features,
        preset=preset,
        masks_of=resolve_mask_classes("coco", data.vocabulary, preset.stage2_source),
        measured=tuple(sorted(exhaustive_classes(data, preset.stage2_source).values())),
        split=options.split,
        max_images=options.max_images,
        rois_at_most=options.rois_at_most,
        device=device,
        embedding=options.embedding,
    )


def _check_images(frozen: FrozenDetector, a: Sequence[int]) -> None:
    shown = frozen.classes_with_masks
    if not shown & set(a) or not shown - set(a):
        raise DataError(
            f"{frozen.dataset}: split {frozen.split!r} has no object with a mask of a class "
            f"{'outside' if shown & set(a) else 'of'} the mask classes to measure; choose others, or more images"
        )


def _write(out: str, result: Tables) -> None:
    from maskx_model.study.table_page import tables_csv, tables_page

    write(f"{out}/tables.html", tables_page(result).encode())
    write(f"{out}/tables.csv", tables_csv(result).encode())
    write_own(f"{out}/tables.json", result)


def results_table(result: Tables) -> str:
    """The rows as text, a line each, and how many of the paper's orderings hold."""
    lines = [f"{'':40}{'B':>12}{'A':>14}"]
    for each in result.rows:
        values = each.not_run and f"not run: {each.not_run}"
        if each.b is not None and each.a is not None:
            values = f"{each.b!s:>12}{each.a!s:>14}"
        lines.append(f"{each.table:4}{each.name:36}{values}")
    held = sum(each.holds for each in result.orderings)
    lines.append(f"{held} of {len(result.orderings)} orderings of the paper hold on the mean")
    return "\n".join(lines)
