"""The model card: what a version is, what it was made from, how good it is, and for what; in Markdown."""

import html
import re
from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec

from data_prep.format.manifest import Manifest, read_manifest
from data_prep.format.mapped_index import map_index
from data_prep.format.vocabulary import read_vocabulary
from data_prep.storage.storage import read
from maskx_model.evaluation.metrics import Evaluation
from maskx_model.registry.run_contents import RunContents, folder_name

FILE = "model_card.md"
NAMED = 30
"""Classes, and licenses of a source, that are listed by name; of more, the number is told."""
DESCRIPTION = 5000
"""Characters that MLflow's tables hold of a version's description."""


def model_card(model: str, contents: RunContents) -> str:
    """The card of a model folder, from what `gather` found of it and its dataset's manifest and index."""
    names = read_vocabulary(f"{model}/vocabulary.json").names
    a = {names[position] for position in msgspec.json.decode(read(f"{model}/config.json"))["mask_classes"]}
    b = [name for name in names if name not in a]
    uri = None if contents.dataset is None else contents.dataset.uri
    lines = [
        f"# {_plain(folder_name(model))}: Mask^X R-CNN, {contents.kind.replace('_', '-')}",
        "",
        f"Detects the objects of {len(names)} classes in images and segments them. {len(a)} of the classes had "
        f"masks in training (A), {len(b)} had boxes only (B).",
        *("", "## Accuracy", "", *_accuracy(contents)),
        *("", "## Classes", "", f"A: {_listed(sorted(a))}", "", f"B: {_listed(b)}"),
        *(
            "",
            "## Data",
            "",
            *(["The dataset was not named when the model was registered."] if uri is None else _data(uri)),
        ),
        *("", "## Intended use", "", *_use(contents, bool(b))),
        *("", "## Limits", "", *_limits(contents, len(names))),
        *("", "## Licenses", "", *_licenses(uri)),
        *("", "## Made from", "", *_made_from(contents)),
    ]
    return "\n".join(lines) + "\n"


def shortened(card: str) -> str:
    """The card's first lines, as many as MLflow stores as a description."""
    if len(card) <= DESCRIPTION:
        return card
    end = f"\n\n… the whole card is {FILE} among the artifacts.\n"
    return card[: card.rindex("\n", 0, DESCRIPTION - len(end))] + end


def _rows(ap: dict[str, dict[str, float | None]], title: str = "") -> Iterator[str]:
    """A row for each kind of model: AP on A, on B and on all."""
    for kind, sets in ap.items():
        cells = (sets.get(part) for part in ("A", "B", "all"))
        yield f"| {kind}{title} | " + " | ".join("–" if cell is None else f"{cell:.1f}" for cell in cells) + " |"


def _accuracy(contents: RunContents) -> Iterator[str]:
    results = contents.evaluation
    yield f"Mask AP (mean over IoU 0.50:0.95, percent points) on {results.images} images of {_split(results)}:"
    yield from ("", "| | A | B | all |", "|---|---|---|---|")
    yield from _rows(results.ap)
    yield from _rows(results.ap_gt_boxes, ", ground-truth boxes")
    yield from _rows(results.box_ap, ", boxes")
    if (estimate := contents.estimate) is not None:
        yield ""
        yield (
            f"Estimate of mask AP on B, by leaving classes of A out ({len(estimate.folds)} folds): {estimate}; on the "
            f"classes left out {estimate.held_out:.1f}, {estimate.margin:+.1f} ± {estimate.margin_error:.1f} against "
            "the class-agnostic head."
        )


def _split(results: Evaluation) -> str:
    return f"split {results.made_from.get('split')}, source {results.made_from.get('source')}"


def _data(uri: str) -> Iterator[str]:
    manifest = read_manifest(uri)
    yield f"Dataset {_plain(folder_name(uri))}:"
    yield from ("", "| source | format | images | objects | masks |", "|---|---|---|---|---|")
    for source in manifest.sources:
        images, objects, masks = _counts(manifest, source.name)
        yield f"| {_plain(source.name)} | {source.kind} | {images} | {objects} | {masks} |"


def _counts(manifest: Manifest, source: str) -> tuple[int, int, int]:
    """Images, objects and masks of a source, all splits together."""
    total = Counter[str]()
    for parts in manifest.counts.values():
        for part, counts in parts.items():
            if source in part.split("+"):
                total.update({"images": counts.get("photographs", 0)})
                total.update({what: counts.get(f"{source}_{what}", 0) for what in ("objects", "masks")})
    return total["images"], total["objects"], total["masks"]


def _use(contents: RunContents, has_b: bool) -> Iterator[str]:
    yield "To find and outline objects of its classes in images like those that it was trained and measured on."
    if has_b and contents.evaluation.ap[contents.kind]["B"] is None:
        yield "Masks of B were never compared with annotated ones: look at some before you rely on them."
    yield "It is not made for decisions about people, nor for any use where a missed object does harm."


def _limits(contents: RunContents, classes: int) -> Iterator[str]:
    shown = [each for each in contents.evaluation.per_class if each.objects]
    ap = {each.name: value for each in shown if (value := each.ap.get(contents.kind)) is not None}
    if ap:
        yield f"- Mask AP is a mean over the {len(ap)} classes of {classes} that the images show with masks."
    else:
        yield "- No object in the images has a mask: boxes alone were measured."
    if ap and (unmasked := [each.name for each in shown if each.name not in ap]):
        yield f"- Objects of {len(unmasked)} more have no masks there to measure by: {_listed(unmasked)}"
    if weak := [name for name, value in ap.items() if value < 1.0]:
        yield f"- Mask AP is below 1 on {len(weak)} of them: {_listed(weak)}"
    yield "- Masks have 28×28 cells to a box: fine parts of large objects are lost."
    yield "- Images of another kind than the training's (drawings, X-rays, views from above) were not measured."


def _licenses(uri: str | None) -> Iterator[str]:
    yield "Code: Apache-2.0. Annotations and images keep the licenses of their publishers and photographers, and"
    yield "what the model owes to them is for those who use it to judge."
    if uri is None:
        return
    yield from ("", "Licenses of the images, as the dataset's index names them:", "")
    for source, licenses in sorted(_image_licenses(uri).items()):
        named = [f"{text} ({count})" for text, count in licenses.most_common()]
        yield f"- {_plain(source)}: {_listed(named)}"


def _image_licenses(uri: str) -> dict[str, Counter[str]]:
    """Images by license, of each source that has them."""
    table = map_index(f"{uri.rstrip('/')}/index.parquet").table
    groups = table.group_by(["part", "license"]).aggregate([("key", "count")]).to_pylist()
    found: dict[str, Counter[str]] = {}
    for group in groups:
        for source in group["part"].split("+"):
            found.setdefault(source, Counter())[group["license"] or "not stated"] += group["key_count"]
    return found


def _made_from(contents: RunContents) -> Iterator[str]:
    yield f"- model: sha256 {contents.model_sha256}"
    for key, value in contents.parameters.items():
        stage, _, name = key.removeprefix("made_from.").rpartition(".")
        if key.startswith("made_from.") and name in ("dataset", "detector", "commit", "maskx", "torch"):
            yield f"- {stage}: {name} {value}"
    yield "- the chain to the original files: `maskx model lineage`, or lineage.json beside this card"


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(_plain(name) for name in names[:NAMED])
    return f"{shown} and {len(names) - NAMED} more" if len(names) > NAMED else shown or "none"


def _plain(text: str) -> str:
    """Text from somebody's file, so that it means nothing to Markdown or HTML."""
    return re.sub(r"([\\`*_{}\[\]|#])", r"\\\1", html.escape(" ".join(text.split()), quote=False))
