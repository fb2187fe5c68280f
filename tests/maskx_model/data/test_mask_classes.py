"""A: which classes' masks a run may see."""

from pathlib import Path

import pytest

from data_prep.format.reader import Dataset
from data_prep.format.vocabulary import SourceClass, Vocabulary, VocabularyClass
from data_prep.storage.errors import ConfigError
from data_prep.toy_world import class_groups
from maskx_model.data.coco_classes import coco_ids
from maskx_model.data.mask_classes import VOC_CATEGORY_IDS, figure_3_splits, resolve_mask_classes
from tests.data_prep.prepare.own_source import made, write
from tests.data_prep.small_sources import coco_image, coco_object

NAMES = {number: name for name, number in coco_ids().items()}


def coco_class(number: int, masks: int = 4) -> VocabularyClass:
    return VocabularyClass(
        f"c{number}.n.01", f"class {number}", {"coco": SourceClass((NAMES[number],), 5, masks)}, number
    )


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    """COCO's 80 by category id, the last without a single mask, then two of Visual Genome's."""
    classes = [coco_class(number, masks=0 if number == 90 else 4) for number in NAMES]
    rare = [VocabularyClass(f"{n}.n.01", n, {"vg": SourceClass((f"{n}.n.01",), 3)}) for n in ("fork", "rug")]
    return Vocabulary((*classes, *rare))


def test_voc_is_twenty_classes_by_category_id(vocabulary: Vocabulary) -> None:
    chosen = resolve_mask_classes("voc", vocabulary, "coco")
    ids = [vocabulary.classes[i].category_id for i in chosen]
    assert ids == [1, 2, 3, 4, 5, 6, 7, 9, 16, 17, 18, 19, 20, 21, 44, 62, 63, 64, 67, 72]
    assert set(ids) == VOC_CATEGORY_IDS


def test_voc_and_non_voc_share_out_all_that_has_masks(vocabulary: Vocabulary) -> None:
    voc, other = (resolve_mask_classes(choice, vocabulary, "coco") for choice in ("voc", "non-voc"))
    assert sorted((*voc, *other)) == list(resolve_mask_classes("coco", vocabulary, "coco")) == list(range(79))
    assert not set(voc) & set(other)


def test_random_classes_are_a_function_of_the_seed(vocabulary: Vocabulary) -> None:
    chosen = [resolve_mask_classes(f"random:20:{seed}", vocabulary, "coco") for seed in (0, 1, 0)]
    assert chosen[0] == chosen[2] != chosen[1]
    assert all(len(set(each)) == 20 and list(each) == sorted(each) and max(each) < 79 for each in chosen)
    assert resolve_mask_classes("random:79:5", vocabulary, "coco") == tuple(range(79))


@pytest.mark.parametrize(
    ("choice", "ids"),
    [
        ("figure3:20:1", [7, 9, 10, 14, 15, 32, 39, 40, 51, 53, 56, 60, 61, 63, 65, 70, 73, 76, 84, 88]),
        ("figure3:20:5", [1, 2, 5, 9, 15, 17, 19, 20, 23, 24, 31, 32, 34, 35, 48, 53, 54, 70, 72, 79]),
    ],
)
def test_figure_3s_splits_are_the_authors(vocabulary: Vocabulary, choice: str, ids: list[int]) -> None:
    chosen = resolve_mask_classes(choice, vocabulary, "coco")
    assert [vocabulary.classes[i].category_id for i in chosen] == ids


def test_figure_3_has_five_trials_of_five_sizes_all_different() -> None:
    splits = figure_3_splits()
    assert set(splits) == {(size, trial) for size in (20, 30, 40, 50, 60) for trial in range(1, 6)}
    assert all(len(ids) == size and ids < set(NAMES) for (size, _), ids in splits.items())
    assert len(set(splits.values())) == 25
    left_out = set(NAMES) - splits[60, 5]  # the last draw of all
    assert sorted(left_out) == [15, 18, 21, 23, 27, 33, 35, 36, 40, 41, 43, 46, 50, 51, 52, 56, 57, 63, 75, 85]


def test_a_file_names_classes_by_any_of_their_names(vocabulary: Vocabulary, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("class 5\n\n  car  \nc1.n.01\nclass 3\n", encoding="utf-8")
    assert resolve_mask_classes(f"{tmp_path}/a.txt", vocabulary, "coco") == (0, 2, 4)


def test_the_toy_worlds_files_leave_twelve_classes_out(toy_dataset: Dataset, toy_folder: Path) -> None:
    vocabulary = toy_dataset.vocabulary
    everything = set(resolve_mask_classes("coco", vocabulary, "coco"))
    for group in range(5):
        file = toy_folder / "original" / "mask_classes" / f"without_group_{group}.txt"
        seen = [name for name in file.read_text().splitlines() if vocabulary.find(name) in everything]
        file_of_seen = toy_folder / f"seen_{group}.txt"
        file_of_seen.write_text("\n".join(seen))
        left_out = {vocabulary.find(name) for name in class_groups("hues")[group]}
        assert set(resolve_mask_classes(str(file_of_seen), vocabulary, "coco")) == everything - left_out


def test_the_demos_a_is_the_generated_world_without_its_first_group(toy_dataset: Dataset) -> None:
    vocabulary = toy_dataset.vocabulary
    masked = resolve_mask_classes("coco", vocabulary, "coco")
    first_group = {vocabulary.find(name) for name in class_groups("hues")[0]}
    assert resolve_mask_classes("toy", vocabulary, "coco") == tuple(i for i in masked if i not in first_group)
    assert not first_group.isdisjoint(masked)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("random:20", r"'random:20': write random:N:seed, for example random:20:0"),
        ("random:many:0", r"write random:N:seed"),
        ("random:20:-1", r"write random:N:seed"),
        ("random:0:0", r"79 classes have masks in training, 0 were requested"),
        ("random:80:0", r"79 classes have masks in training, 80 were requested"),
        ("figure3:20", r"'figure3:20': write figure3:N:trial with N one of 20, 30, 40, 50, 60 and a trial from 1 to 5"),
        ("figure3:25:1", r"for example figure3:20:1"),
        ("figure3:20:6", r"a trial from 1 to 5"),
        ("figure3:twenty:1", r"write figure3:N:trial"),
        ("vox", r"'vox': neither voc, non-voc, coco, toy, random:N:seed, figure3:N:trial nor a file that exists"),
    ],
)
def test_a_choice_that_does_not_exist_is_explained(vocabulary: Vocabulary, choice: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        resolve_mask_classes(choice, vocabulary, "coco")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"class 1\nunicorn\n", r"a.txt, line 2: the vocabulary has no class 'unicorn'"),
        (b"class 1\n\nfork\n", r"a.txt, line 3: no training image has a mask of class 'fork'"),
        (b"class 90\n", r"a.txt, line 1: no training image has a mask of class 'class 90'"),
        (b"\n\n", r"no class of source 'coco' is among them"),
        (b"\xff\xfe\x00", r"a.txt: not a text file of class names"),
    ],
)
def test_a_line_that_cannot_be_is_named(vocabulary: Vocabulary, tmp_path: Path, text: bytes, message: str) -> None:
    (tmp_path / "a.txt").write_bytes(text)
    with pytest.raises(ConfigError, match=message):
        resolve_mask_classes(f"{tmp_path}/a.txt", vocabulary, "coco")


def test_a_folder_is_no_list_of_classes(vocabulary: Vocabulary, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nor a file that exists"):
        resolve_mask_classes(str(tmp_path), vocabulary, "coco")


def test_a_source_without_masks_is_refused(vocabulary: Vocabulary) -> None:
    with pytest.raises(
        ConfigError, match="source 'vg' has no masks in training; the dataset's sources with some: coco"
    ):
        resolve_mask_classes("coco", vocabulary, "vg")


def test_a_source_that_is_not_there_is_answered_with_those_that_are(vocabulary: Vocabulary) -> None:
    with pytest.raises(ConfigError, match="no object of a source 'shop'; its sources with masks in training: coco"):
        resolve_mask_classes("coco", vocabulary, "shop")


def own_dataset(folder: Path, masks_in_training: bool) -> Dataset:
    """Cats and potted plants with masks in validation; in training plants have boxes only, and so may cats."""
    images = [coco_image(1), coco_image(2)]
    cat: dict[str, list[float]] = {} if masks_in_training else {"segmentation": []}
    train = [coco_object(1, 1, **cat), coco_object(2, 2, category_id=3, segmentation=[])]
    val = [coco_object(1, 1), coco_object(2, 2, category_id=3)]
    paths = [write(folder / split, images, things) for split, things in (("train", train), ("val", val))]
    made(folder, f"mine=coco:{paths[0]}", f"mine@val=coco:{paths[1]}")
    return Dataset.open(f"{folder}/out")


def test_masks_to_measure_b_by_put_no_class_into_a(tmp_path: Path) -> None:
    vocabulary = own_dataset(tmp_path, masks_in_training=True).vocabulary
    assert vocabulary.names == ("cat", "potted plant")
    assert resolve_mask_classes("coco", vocabulary, "mine") == (0,)
    assert resolve_mask_classes("voc", vocabulary, "mine") == (0,)
    with pytest.raises(ConfigError, match=r"1 classes have masks in training, 2 were requested"):
        resolve_mask_classes("random:2:0", vocabulary, "mine")
    (tmp_path / "a.txt").write_text("potted plant\n")
    with pytest.raises(ConfigError, match=r"line 1: no training image has a mask of class 'potted plant'"):
        resolve_mask_classes(f"{tmp_path}/a.txt", vocabulary, "mine")


def test_masks_in_validation_alone_are_none_to_train_on(tmp_path: Path) -> None:
    vocabulary = own_dataset(tmp_path, masks_in_training=False).vocabulary
    with pytest.raises(
        ConfigError, match="source 'mine' has no masks in training; the dataset's sources with some: no"
    ):
        resolve_mask_classes("coco", vocabulary, "mine")


@pytest.mark.parametrize("choice", ["voc", "non-voc", "figure3:60:1"])
def test_own_data_has_no_classes_of_cocos_though_it_numbers_them_like_coco(choice: str) -> None:
    names = ["screw", "nut", "bolt", "washer", "rivet", "pin", "clip", "spring"]
    classes = (
        VocabularyClass(f"{name}.n.01", name, {"shop": SourceClass((name,), 9, 9)}, number)
        for number, name in enumerate(names, start=1)
    )
    with pytest.raises(ConfigError, match=f"'{choice}': no class of source 'shop' is among them"):
        resolve_mask_classes(choice, Vocabulary(tuple(classes)), "shop")


def test_cocos_classes_are_known_though_another_source_lent_the_numbers() -> None:
    sources = {"lvis": SourceClass(("person",), 9, 9), "coco": SourceClass(("person",), 9, 9)}
    renumbered = Vocabulary((VocabularyClass("person.n.01", "person", sources, 793),))
    assert resolve_mask_classes("voc", renumbered, "coco") == (0,)
