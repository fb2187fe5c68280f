"""`image_data.json` and `objects.json`: boxes, synsets of Zipf's law, and the troubles that the real file has."""

from pathlib import Path

import numpy as np

from benchmarks.full_scale.images import Ints, VisualGenomeImages
from data_prep.prepare.vocabulary import read_synset_table

OBJECTS_PER_IMAGE = 35.16
SYNSETS = 8_000
# Images whose objects are drawn and written at a time.
_CHUNK = 2_000
_SYLLABLES = [consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in "aeiou"]

_IMAGE = (
    '{"width": %d, "url": "https://visual-genome.invalid/%s/%d.jpg", "height": %d, "image_id": %d, '
    '"coco_id": %s, "flickr_id": %s}'
)
_OBJECT = (
    '{"synsets": [%s], "h": %d, "object_id": %d, "merged_object_ids": [%s], "names": ["%s"], "w": %d, "y": %d, "x": %d}'
)
_RECORD = '{"image_id": %d, "objects": [%s], "image_url": "https://visual-genome.invalid/%s/%d.jpg"}'
FOLDERS = ("VG_100K", "VG_100K_2")


def write_visual_genome(folder: Path, images: VisualGenomeImages, rng: np.random.Generator) -> int:
    """Write both files; returns the number of objects."""
    folders = [FOLDERS[number] for number in images.folder.tolist()]
    ids, widths, heights = images.id.tolist(), images.width.tolist(), images.height.tolist()
    known = [[str(number or "null") for number in column.tolist()] for column in (images.coco_id, images.flickr_id)]
    rows = zip(widths, folders, ids, heights, ids, *known, strict=True)
    (folder / "image_data.json").write_text("[" + ", ".join(_IMAGE % row for row in rows) + "]")
    counts = np.maximum(rng.poisson(rng.gamma(4, OBJECTS_PER_IMAGE / 4, len(ids))), np.arange(len(ids)) % 1000 != 0)
    synsets, names = _synsets()
    frequencies = 1 / (np.arange(SYNSETS) + 2.7)
    with (folder / "objects.json").open("w") as file:
        file.write("[")
        first = 1_000_000
        for start in range(0, len(ids), _CHUNK):
            part = slice(start, start + _CHUNK)
            chosen = rng.choice(SYNSETS, int(counts[part].sum()), p=frequencies / frequencies.sum())
            objects = _objects(images, counts, part, chosen, first, synsets, names, rng)
            ends = np.cumsum(counts[part]).tolist()
            texts = [", ".join(objects[a:b]) for a, b in zip([0, *ends[:-1]], ends, strict=True)]
            records = zip(ids[part], texts, folders[part], ids[part], strict=True)
            file.write((", " if start else "") + ", ".join(_RECORD % record for record in records))
            first += len(objects)
        file.write("]")
    return int(counts.sum())


def _synsets() -> tuple[list[str], list[str]]:
    """So many synsets, the frequent ones first, and the name that people gave: COCO's eighty among the first 400."""
    words = []
    for number in range(SYNSETS):
        rest, word = number * 7919 + 70, ""
        while rest:
            rest, syllable = divmod(rest, len(_SYLLABLES))
            word += _SYLLABLES[syllable]
        words.append(word)
    synsets = [f"{word}.n.{1 + number % 7 // 5:02d}" for number, word in enumerate(words)]
    for position, synset in enumerate(read_synset_table(None).values()):
        synsets[5 * position], words[5 * position] = synset, synset.split(".", maxsplit=1)[0].replace("_", " ")
    return synsets, words


def _objects(
    images: VisualGenomeImages,
    counts: Ints,
    part: slice,
    chosen: Ints,
    first: int,
    synsets: list[str],
    names: list[str],
    rng: np.random.Generator,
) -> list[str]:
    """The JSON of a chunk's objects, ids counted from `first`."""
    width, height = (np.repeat(column[part], counts[part]) for column in (images.width, images.height))
    share = rng.lognormal(-1.9, 0.9, (2, len(chosen))).clip(0.01, 1)
    w, h = np.maximum(width * share[0], 3).astype(np.int64), np.maximum(height * share[1], 3).astype(np.int64)
    x, y = (rng.random((2, len(chosen))) * (width - w, height - h)).astype(np.int64)
    trouble = rng.random(len(chosen))
    w[trouble < 0.003] = 0
    x = np.where((trouble > 0.003) & (trouble < 0.02), x - 9, x)
    w = np.where((trouble > 0.02) & (trouble < 0.04), w + width // 8, w)
    y = np.where((trouble > 0.04) & (trouble < 0.0405), height + 5, y)
    named = [f'"{synset}"' for synset in synsets]
    listed = [named[number] for number in chosen.tolist()]
    for position in np.flatnonzero((trouble > 0.1) & (trouble < 0.13)).tolist():
        listed[position] = ""
    for position in np.flatnonzero((trouble > 0.13) & (trouble < 0.15)).tolist():
        listed[position] += f", {named[position % len(named)]}"
    merged = [""] * len(chosen)
    for position in np.flatnonzero(trouble > 0.9).tolist():
        merged[position] = str(first + position // 2)
    ids = range(first, first + len(chosen))
    called = [names[number] for number in chosen.tolist()]
    rows = zip(listed, h.tolist(), ids, merged, called, w.tolist(), y.tolist(), x.tolist(), strict=True)
    return [_OBJECT % row for row in rows]
