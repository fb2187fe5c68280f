"""A: the classes whose masks a training uses. The rest of the vocabulary is B."""

from collections import Counter
from importlib.resources import files

from data_prep.format.vocabulary import Vocabulary
from data_prep.storage.errors import ConfigError
from data_prep.storage.storage import info, read
from maskx_model.data.coco_classes import coco_id, coco_ids

VOC_CATEGORY_IDS = frozenset({*range(1, 8), 9, *range(16, 22), 44, 62, 63, 64, 67, 72})
"""The 20 classes of PASCAL VOC by COCO category id (§4.1)."""
FIGURE_3_SIZES = (20, 30, 40, 50, 60)
FIGURE_3_TRIALS = 5
FIGURE_3_SEED = 3


def check_choice(choice: str) -> None:
    """Raise ConfigError for a choice that `resolve_mask_classes` refuses whatever the data: it can be checked first."""
    if choice in {"coco", "voc", "non-voc", "toy"}:
        return
    if choice.startswith("figure3:"):
        _figure_3_categories(choice)
    elif choice.startswith("random:"):
        _random_numbers(choice)
    elif info(choice) is None:
        raise ConfigError(
            f"mask classes {choice!r}: neither voc, non-voc, coco, toy, random:N:seed, figure3:N:trial nor a file that "
            "exists"
        )


def resolve_mask_classes(choice: str, vocabulary: Vocabulary, source: str) -> tuple[int, ...]:
    """Positions in the vocabulary, in order, of the classes in A.

    `choice`: `coco` for every class that `source` has masks of in training, `voc` or `non-voc` for those of COCO's 80
    among them that PASCAL VOC has or has not, `random:N:seed` for N of them, `figure3:N:trial` for those of COCO's that
    the paper's Figure 3 drew, `toy` for the demo's 48 classes of the generated world, or a file with a class name per
    line. Raises ConfigError for anything else, for names that the vocabulary lacks, and for a class without a single
    mask in training.
    """
    masked = classes_with_masks(vocabulary, source)
    check_choice(choice)
    if not masked:
        raise ConfigError(f"mask classes: {_no_masks(vocabulary, source)}")
    if choice == "coco":
        return tuple(masked)
    if choice == "voc":
        chosen = _of_coco(masked, vocabulary, VOC_CATEGORY_IDS)
    elif choice == "non-voc":
        chosen = _of_coco(masked, vocabulary, frozenset(coco_ids().values()) - VOC_CATEGORY_IDS)
    elif choice.startswith("figure3:"):
        chosen = _of_coco(masked, vocabulary, _figure_3_categories(choice))
    elif choice.startswith("random:"):
        chosen = _random_classes(choice, masked)
    elif choice == "toy":
        chosen = _toy_classes(masked, vocabulary)
    else:
        chosen = _listed_classes(choice, vocabulary, frozenset(masked))
    if not chosen:
        raise ConfigError(
            f"mask classes {choice!r}: no class of source {source!r} is among them; --mask-classes coco takes all that "
            "have masks, and a file those that it lists"
        )
    return tuple(chosen)


def classes_with_masks(vocabulary: Vocabulary, source: str) -> list[int]:
    """Positions in the vocabulary of the classes that `source` has masks of in training."""
    own = ((i, c.sources[source]) for i, c in enumerate(vocabulary.classes) if source in c.sources)
    return [i for i, of_source in own if of_source.masks_to_train_on > 0]


def _no_masks(vocabulary: Vocabulary, source: str) -> str:
    """Why there is no mask to train on, and the sources that have some."""
    masks: Counter[str] = Counter()
    for c in vocabulary.classes:
        masks.update({name: own.masks_to_train_on for name, own in c.sources.items()})
    others = ", ".join(sorted(name for name, count in masks.items() if count > 0)) or "none"
    if source not in masks:
        known = f"its sources with masks in training: {others}; name one (--source)"
        return f"the dataset has no object of a source {source!r}; {known}"
    return f"source {source!r} has no masks in training; the dataset's sources with some: {others}"


def _of_coco(masked: list[int], vocabulary: Vocabulary, ids: frozenset[int]) -> list[int]:
    return [i for i in masked if coco_id(vocabulary.classes[i]) in ids]


def _toy_classes(masked: list[int], vocabulary: Vocabulary) -> list[int]:
    """Groups 1 to 4 of the generated world's five; group 0 is the demo's B."""
    names = files("maskx_model.data").joinpath("toy_mask_classes.txt").read_text(encoding="utf-8").splitlines()
    in_a = {vocabulary.find(name) for name in names}
    return [i for i in masked if i in in_a]


def _random_classes(choice: str, masked: list[int]) -> list[int]:
    import numpy as np

    count, seed = _random_numbers(choice)
    generator = np.random.default_rng(seed)
    if not 0 < count <= len(masked):
        raise ConfigError(
            f"mask classes {choice!r}: {len(masked)} classes have masks in training, {count} were requested"
        )
    return sorted(generator.choice(masked, count, replace=False).tolist())


def _random_numbers(choice: str) -> tuple[int, int]:
    try:
        count, seed = (int(number) for number in choice.removeprefix("random:").split(":"))
    except ValueError:
        count = seed = -1
    if seed < 0:
        raise ConfigError(f"mask classes {choice!r}: write random:N:seed, for example random:20:0")
    return count, seed


def _figure_3_categories(choice: str) -> frozenset[int]:
    try:
        size, trial = (int(number) for number in choice.removeprefix("figure3:").split(":"))
    except ValueError:
        size = trial = 0
    if size not in FIGURE_3_SIZES or not 1 <= trial <= FIGURE_3_TRIALS:
        raise ConfigError(
            f"mask classes {choice!r}: write figure3:N:trial with N one of {', '.join(map(str, FIGURE_3_SIZES))} and "
            f"a trial from 1 to {FIGURE_3_TRIALS}, for example figure3:20:1"
        )
    return figure_3_splits()[size, trial]


def figure_3_splits() -> dict[tuple[int, int], frozenset[int]]:
    """A of Figure 3's 25 splits, COCO category ids by (|A|, trial from 1 on).

    As the authors' released code draws them: one generator of NumPy's old kind, seed 3, for all; trial by trial, sizes
    rising within each; positions among the 80 categories in the order of COCO's files, which is that of the ids.
    """
    import numpy as np

    generator = np.random.RandomState(FIGURE_3_SEED)
    ids = tuple(coco_ids().values())
    return {
        (size, trial): frozenset(ids[i] for i in generator.choice(len(ids), size, replace=False))
        for trial in range(1, FIGURE_3_TRIALS + 1)
        for size in FIGURE_3_SIZES
    }


def _listed_classes(path: str, vocabulary: Vocabulary, masked: frozenset[int]) -> list[int]:
    try:
        text = read(path).decode()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not a text file of class names in UTF-8 ({error})") from None
    chosen = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not (name := line.strip()):
            continue
        position = vocabulary.find(name)
        if position is None:
            raise ConfigError(f"{path}, line {number}: the vocabulary has no class {name!r}")
        if position not in masked:
            raise ConfigError(
                f"{path}, line {number}: no training image has a mask of class {name!r}; take it out of the list"
            )
        chosen.append(position)
    return sorted(set(chosen))
